package ipfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// A Sink adds files to a kubo node, each pinned under its name, so that the
// node keeps them.
type Sink struct {
	node    *kubo
	profile Profile

	mu    sync.Mutex
	cids  map[lockfile.Digest]string
	locks []string
}

// NewSink returns the kubo node at an address (ipfs://[HOST[:PORT]] or
// ipfs+https://HOST) as a sink, which cuts files into blocks as the profile
// says.
func NewSink(client *web.Client, rawAddress string, profile Profile) (*Sink, error) {
	a, err := parseAddress(rawAddress)
	switch {
	case err != nil:
		return nil, err
	case a.gateway:
		return nil, errors.New("files cannot be put into an IPFS gateway; " + forms)
	case a.cid != "":
		return nil, fmt.Errorf("%s is the address of a single file; %s", a.cid, forms)
	}
	return &Sink{node: newKubo(client, a), profile: profile, cids: map[lockfile.Digest]string{}}, nil
}

// Name is the node's address, without a login.
func (s *Sink) Name() string { return s.node.Name() }

// CIDs returns the addresses, of the files that were put, that do not follow
// from the hash: what a lock has to record.
func (s *Sink) CIDs() map[lockfile.Digest]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.cids)
}

// Locks returns the CIDs of the locks that were published last, in their order.
func (s *Sink) Locks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.locks)
}

// Put adds a file unless it is pinned already. A file of more than one block
// is read once more to know its CID beforehand.
func (s *Sink) Put(ctx context.Context, f fetch.File) (sent bool, err error) {
	cid, err := s.cid(ctx, f)
	if err == nil {
		sent, err = s.add(ctx, f, cid)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", f.Entry.Path, err)
	}
	return sent, nil
}

// cid returns the file's CID, and takes note of one that does not follow from
// the hash.
func (s *Sink) cid(ctx context.Context, f fetch.File) (string, error) {
	if f.Size <= int64(s.profile.Chunk) {
		return RawCID(f.Entry.Digest), nil
	}
	s.mu.Lock()
	cid := s.cids[f.Entry.Digest]
	s.mu.Unlock()
	if cid != "" {
		return cid, nil
	}
	r, err := f.Open(ctx)
	if err != nil {
		return "", err
	}
	defer r.Close()
	if cid, err = CID(fetch.ContextReader(ctx, r), s.profile); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cids[f.Entry.Digest] = cid
	return cid, nil
}

// add sends a file to the node unless it has it pinned.
func (s *Sink) add(ctx context.Context, f fetch.File, cid string) (sent bool, err error) {
	if pinned, err := s.node.pinned(ctx, cid); pinned || err != nil {
		return false, err
	}
	r, err := f.Open(ctx)
	if err != nil {
		return false, err
	}
	defer r.Close()
	got, err := s.node.add(ctx, f.Entry.Base(), fetch.ContextReader(ctx, r), f.Size, s.profile)
	if err != nil {
		return false, err
	}
	if got != cid {
		return false, fmt.Errorf("the node gives the file the address %s, where %s is right in the profile %s; "+
			"it may not be kubo, or be too old", got, cid, s.profile.Name)
	}
	return true, nil
}

// Publish adds the locks, each with the CIDs of its files, and pins them under
// the name SHA256SUMS. Locks tells their own CIDs.
func (s *Sink) Publish(ctx context.Context, sets []fetch.Set) error {
	var cids []string
	for _, set := range sets {
		lock := *set.Lock
		lock.CIDs = map[lockfile.Digest]string{}
		for _, f := range set.Files {
			cid, err := s.cid(ctx, f)
			if err != nil {
				return fmt.Errorf("%s: %w", f.Entry.Path, err)
			}
			if cid != RawCID(f.Entry.Digest) {
				lock.CIDs[f.Entry.Digest] = cid
			}
		}
		text := string(lock.Format())
		cid, err := CID(strings.NewReader(text), s.profile)
		if err != nil {
			return err
		}
		f := fetch.File{
			Entry: lockfile.Entry{Path: "SHA256SUMS"},
			Size:  int64(len(text)),
			Open: func(context.Context) (io.ReadSeekCloser, error) {
				return readSeekNopCloser{strings.NewReader(text)}, nil
			},
		}
		if _, err := s.add(ctx, f, cid); err != nil {
			return fmt.Errorf("the lock: %w", err)
		}
		cids = append(cids, cid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locks = cids
	return nil
}

type readSeekNopCloser struct{ io.ReadSeeker }

func (readSeekNopCloser) Close() error { return nil }

// pinned reports whether the node keeps all blocks of a file.
func (n *kubo) pinned(ctx context.Context, cid string) (bool, error) {
	resp, err := n.call(ctx, "pin/ls", url.Values{"arg": {cid}, "type": {"recursive"}}, nil)
	if err != nil {
		if isNotPinned(err.Error()) {
			err = nil
		}
		return false, err
	}
	defer resp.Body.Close()
	var r struct{ Keys map[string]struct{} }
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(&r); err != nil {
		return false, fmt.Errorf("read the answer to pin/ls: %w", err)
	}
	_, found := r.Keys[cid]
	return found, nil
}

// add sends a file and returns the CID that the node gives it. All that decides
// about the CID is said, since a node's own configuration may differ.
func (n *kubo) add(ctx context.Context, name string, r io.Reader, size int64, p Profile) (string, error) {
	query := url.Values{
		"cid-version":    {"1"},
		"raw-leaves":     {"true"},
		"hash":           {"sha2-256"},
		"chunker":        {"size-" + strconv.Itoa(p.Chunk)},
		"max-file-links": {strconv.Itoa(p.Links)},
		"trickle":        {"false"},
		"inline":         {"false"},
		"pin":            {"true"},
		"pin-name":       {name},
		"quieter":        {"true"},
		"progress":       {"false"},
	}
	body, err := form(name, r, size)
	if err != nil {
		return "", err
	}
	resp, err := n.call(ctx, "add", query, body)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	return addedCID(resp.Body)
}

// addedCID reads the answer to add: a JSON object for each file, of which the
// last one counts, or one that says what went wrong.
func addedCID(r io.Reader) (string, error) {
	answers := json.NewDecoder(io.LimitReader(r, maxReply))
	var last reply
	for {
		var next reply
		err := answers.Decode(&next)
		switch {
		case errors.Is(err, io.EOF) && last.Hash != "":
			return last.Hash, nil
		case err != nil:
			return "", fmt.Errorf("read the answer to add: %w", err)
		case next.Message != "":
			return "", fmt.Errorf("the node answers: %s", next.Message)
		}
		last = next
	}
}

// form is a file in the shape of a multipart/form-data body of known size.
func form(name string, r io.Reader, size int64) (*upload, error) {
	var frame strings.Builder
	w := multipart.NewWriter(&frame)
	_, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition("file", url.PathEscape(name))},
		"Content-Type":        {"application/octet-stream"},
	})
	if err != nil {
		return nil, err
	}
	head := frame.Len()
	if err := w.Close(); err != nil {
		return nil, err
	}
	return &upload{
		Reader: io.MultiReader(strings.NewReader(frame.String()[:head]), r, strings.NewReader(frame.String()[head:])),
		size:   int64(frame.Len()) + size,
		kind:   w.FormDataContentType(),
	}, nil
}
