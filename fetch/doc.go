// Package fetch gets locked files from wherever they still are. It has the
// vocabulary ([Source], [Request], [Body]), the decorators that every source
// is wrapped in, and the planner that gets many files from many sources.
//
// No source is trusted with anything: bytes are hashed as they arrive, a
// source that lies is passed over, and one that fails never stops a fetch that
// another could serve. Each source lives in a folder of its own and passes the
// conformance suite in fetchtest.
//
// The package refuses to know where files are kept: it hands bytes to a
// [Store]. It never prints; what goes on is told to [Events].
package fetch
