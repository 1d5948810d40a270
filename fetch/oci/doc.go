// Package oci keeps locked files in OCI registries and image layouts, and gets
// them from there. [New] is a registry as a source, which needs no manifest;
// [NewSink] puts files and their locks into a registry, and [NewLayout] into a
// directory, as artifacts that oras and skopeo read; [Client.Pull] and
// [PullLayout] give the locks back.
//
// It follows the OCI distribution and image specifications, version 1.1. It
// refuses to be a general client of registries: it deletes nothing, lists
// nothing, reads no artifact that is not a lock's, and trusts no registry with
// anything but the login that docker's configuration has for it.
package oci
