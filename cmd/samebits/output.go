package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

// writeOutput writes data to stdout, or where name says: "-" and "" are
// stdout. A file is replaced as a whole or not at all, and keeps its mode.
func (p *program) writeOutput(name string, data []byte) error {
	if name == "" || name == "-" {
		if _, err := p.stdout.Write(data); err != nil {
			return fmt.Errorf("write to standard output: %w", err)
		}
		return nil
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular(): // such as /dev/stdout, a pipe
		return os.WriteFile(name, data, 0o666)
	}
	if err := replaceFile(name, data, info); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// checkOutput says why writeOutput could not write where name says, as far as
// that can be told before there is anything to write. What takes long is not
// to be done in vain.
func checkOutput(name string) error {
	if name == "" || name == "-" {
		return nil
	}
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("write %s: it is a directory; name a file in it", name)
	case err == nil && !info.Mode().IsRegular():
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	dir := filepath.Dir(name)
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("write %s: no file can be made in %s: %w", name, dir, err)
	}
	return nil
}

// writeLock writes a lock where writeOutput would. A lock that could not be
// read back is not written.
func (p *program) writeLock(name string, l *lockfile.Lock) error {
	var b bytes.Buffer
	if _, err := l.WriteTo(&b); err != nil {
		return err
	}
	return p.writeOutput(name, b.Bytes())
}

// replaceFile writes beside name and renames. A symbolic link stays one: the
// file that it leads to is replaced.
func replaceFile(name string, data []byte, old fs.FileInfo) error {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	temporary := filepath.Join(filepath.Dir(name), fmt.Sprintf(".%s.%d.tmp", filepath.Base(name), os.Getpid()))
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && old != nil {
		err = f.Chmod(old.Mode().Perm())
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temporary, name)
	}
	if err != nil {
		os.Remove(temporary)
	}
	return err
}

// writeJSON prints v as indented JSON.
func (p *program) writeJSON(v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return p.writeOutput("-", append(data, '\n'))
}
