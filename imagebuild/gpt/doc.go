// Package gpt lays out disks, and writes and reads their partition tables: GUID
// tables as chapter 5 of the UEFI specification has them, with the types of the
// Discoverable Partitions Specification, and those of master boot records.
//
// All that tells one table from another is given: no identifier is made here.
// [Table.Layout] gives partitions their places, [Table.WriteTo] writes the
// protective master boot record, the table, and its copy at the end of the disk.
//
// It refuses what firmware or tools would: partitions that overlap or are not on
// borders of sectors, identifiers that are there twice or are none, names of more
// than 36 UTF-16 units, more than 128 partitions. It knows nothing of what is in
// a partition, and writes no extended partitions.
package gpt
