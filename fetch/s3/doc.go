// Package s3 gets files from a bucket of any S3-compatible object store, and
// puts them there. [Open] returns the bucket, which is a [fetch.Source];
// [Bucket.Sink] is for pushing.
//
// Below the bucket's prefix lie blobs/sha256/<hex>, the files, and
// locks/<name or digest>, the locks that were pushed with them.
//
// The package refuses to look for credentials: the caller gives them, or
// requests go out unsigned. It makes no bucket and deletes nothing.
package s3
