// Package web gets files over HTTP and HTTPS: [Client] is the connection to
// the outside that the whole program shares, and [New] makes a [fetch.Source]
// of a [Place], a mirror's base URL or a URL template.
//
// Requests are for bytes as they are: nothing is decompressed on the way. A
// login is sent to the scheme and host that it is for and to no other, and
// stands in no name and in no error.
//
// The package refuses to read the environment or files: the caller says which
// proxy and which login to use. It resumes no body of its own accord; that is
// the planner's.
package web
