package imagebuild

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/spec"
)

// The ids that are given to who asks for none, as useradd does.
const (
	firstID = 1000
	lastID  = 59999
)

// maxAccounts bounds each of the account files.
const maxAccounts = 16 << 20

// A table is an account file: lines of fields with colons between.
type table struct {
	name   string
	mode   uint32 // where it is made anew
	there  bool
	fields [][]string
	dirty  bool
}

// accounts are the users and groups of an image.
type accounts struct{ passwd, group, shadow, gshadow *table }

func readAccounts(root distro.Target) (*accounts, error) {
	a := &accounts{
		&table{name: "etc/passwd", mode: 0o644}, &table{name: "etc/group", mode: 0o644},
		&table{name: "etc/shadow", mode: 0o640}, &table{name: "etc/gshadow", mode: 0o640},
	}
	for _, t := range a.tables() {
		if err := t.read(root); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *accounts) tables() []*table { return []*table{a.passwd, a.group, a.shadow, a.gshadow} }

func (t *table) read(root distro.Target) error {
	r, err := root.Read(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxAccounts+1))
	if err != nil {
		return err
	}
	if len(data) > maxAccounts {
		return fmt.Errorf("/%s has more than %d bytes", t.name, maxAccounts)
	}
	t.there = true
	for line := range strings.Lines(string(data)) {
		t.fields = append(t.fields, strings.Split(strings.TrimSuffix(line, "\n"), ":"))
	}
	return nil
}

// find returns the line of a name, or nil.
func (t *table) find(name string) []string {
	for _, f := range t.fields {
		if f[0] == name {
			return f
		}
	}
	return nil
}

func (t *table) add(fields ...string) {
	t.fields = append(t.fields, fields)
	t.dirty = true
}

// id returns the number of a name: field 2 of both passwd and group.
func (t *table) id(name string) (uint32, bool) {
	f := t.find(name)
	if len(f) < 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(f[2], 10, 32)
	return uint32(n), err == nil
}

func (t *table) hasID(id uint32) bool {
	return slices.ContainsFunc(t.fields, func(f []string) bool { return len(f) > 2 && f[2] == fmt.Sprint(id) })
}

// write puts the tables that changed, each with the attributes that it has.
func (a *accounts) write(root distro.Target, epoch time.Time) error {
	for _, t := range a.tables() {
		if !t.dirty {
			continue
		}
		f := distro.File{Path: t.name, Type: distro.Regular, Mode: t.mode}
		if old, err := root.Stat(t.name); err == nil && old.Type == distro.Regular {
			f.Mode, f.UID, f.GID = old.Mode, old.UID, old.GID
		}
		var b bytes.Buffer
		for _, fields := range t.fields {
			b.WriteString(strings.Join(fields, ":") + "\n")
		}
		f.Size, f.ModTime = int64(b.Len()), epoch
		if err := root.Put(f, &b); err != nil {
			return err
		}
	}
	return nil
}

// addGroup adds a group and returns its number. One that is there already with
// the same number, or asked for with none, is left as it is.
func (a *accounts) addGroup(name string, id spec.ID) (uint32, error) {
	if have, ok := a.group.id(name); ok {
		if id != nil && *id != have {
			return 0, fmt.Errorf("the group %s is there already, with number %d", name, have)
		}
		return have, nil
	}
	n, err := free(id, "the group "+name, a.group)
	if err != nil {
		return 0, err
	}
	a.group.add(name, "x", fmt.Sprint(n), "")
	if a.gshadow.there {
		a.gshadow.add(name, "!", "", "")
	}
	return n, nil
}

// free is the number that is asked for, or the first that none of the tables
// has.
func free(id spec.ID, what string, tables ...*table) (uint32, error) {
	taken := func(n uint32) bool {
		return slices.ContainsFunc(tables, func(t *table) bool { return t.hasID(n) })
	}
	if id != nil {
		if taken(*id) {
			return 0, fmt.Errorf("%s cannot have the number %d, which another has", what, *id)
		}
		return *id, nil
	}
	for n := uint32(firstID); n <= lastID; n++ {
		if !taken(n) {
			return n, nil
		}
	}
	return 0, fmt.Errorf("no number is left for %s", what)
}

func (a *accounts) addUser(u spec.User) error {
	if have, ok := a.passwd.id(u.Name); ok {
		return fmt.Errorf("the user %s is there already, with number %d", u.Name, have)
	}
	if !a.passwd.there {
		return errors.New("the image has no /etc/passwd to add users to")
	}
	uid, err := free(u.ID, "the user "+u.Name, a.passwd)
	if err != nil {
		return err
	}
	group := u.Group
	var gid uint32
	if group == "" {
		own := uid
		if gid, err = a.addGroup(u.Name, &own); err != nil {
			return err
		}
	} else if gid, err = number(a.group, group, "group"); err != nil {
		return err
	}
	home, shell := u.Home, u.Shell
	if home == "" {
		home = "/nonexistent"
	}
	if shell == "" {
		shell = "/sbin/nologin"
	}
	password := u.Password
	if password == "" {
		password = "!"
	}
	if a.shadow.there {
		// The day of the last change is the password-dates rule's: the epoch's.
		a.shadow.add(u.Name, password, "99999999", "0", "99999", "7", "", "", "")
		password = "x"
	}
	a.passwd.add(u.Name, password, fmt.Sprint(uid), fmt.Sprint(gid), u.Comment, home, shell)
	for _, g := range u.Groups {
		f := a.group.find(g)
		if len(f) < 4 {
			return fmt.Errorf("the user %s is to be in the group %s, which is not there", u.Name, g)
		}
		f[3] = strings.TrimPrefix(f[3]+","+u.Name, ",")
		a.group.dirty = true
		if f := a.gshadow.find(g); len(f) > 3 {
			f[3] = strings.TrimPrefix(f[3]+","+u.Name, ",")
			a.gshadow.dirty = true
		}
	}
	return nil
}

// owner finds the numbers of an owner and a group; root's where they are empty.
func (a *accounts) owner(user, group string) (uid, gid uint32, err error) {
	if user != "" {
		if uid, err = number(a.passwd, user, "user"); err != nil {
			return 0, 0, err
		}
		if f := a.passwd.find(user); group == "" && len(f) > 3 {
			n, err := strconv.ParseUint(f[3], 10, 32)
			if err != nil {
				return 0, 0, fmt.Errorf("the user %s has no group", user)
			}
			gid = uint32(n)
		}
	}
	if group != "" {
		gid, err = number(a.group, group, "group")
	}
	return uid, gid, err
}

// number is the id of a name, or the number that it is.
func number(t *table, name, kind string) (uint32, error) {
	if id, ok := t.id(name); ok {
		return id, nil
	}
	n, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("the %s %s is not in the image", kind, name)
	}
	return uint32(n), nil
}
