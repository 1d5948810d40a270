// Package fetchtest has what tests of fetching share: [Run], the conformance
// suite that every source passes; [Store], a store in memory; and [Server], an
// HTTP server with moods, which lies, stalls, drops and refuses as told.
//
// It is for tests only, and refuses to be quick or complete as a server.
package fetchtest
