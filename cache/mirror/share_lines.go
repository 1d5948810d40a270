package mirror

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/samebits/samebits/cache/mirror/share"
	"github.com/samebits/samebits/lockfile"
)

// maxSegment bounds the lines of a segment, in bytes.
const maxSegment = 4 << 20

const feedsFile = "lines.json"

// A feed is a file of lines that mirrors have in common: objects with numbers,
// each made once, by whoever had something to add.
type feed struct {
	name  string
	lines *lineFile
	merge func(lines []byte) error
}

// feedState is how far the feeds are, as it is kept.
type feedState struct {
	Next    map[string]int64      `json:"next"`    // by feed: the number of the next segment
	Sent    map[string]int64      `json:"sent"`    // by feed: bytes of the file here
	Foreign map[string][][2]int64 `json:"foreign"` // by feed: from and to of lines that came from others
}

func (s *sharing) openFeeds() {
	s.feeds = []*feed{
		{"history", s.m.history.lines, s.mergeHistory},
		{"identities", s.m.identities.lines, s.mergeIdentities},
	}
}

func (s *sharing) feedState() (*feedState, error) {
	st := &feedState{}
	if err := s.m.state.readJSON(s.file(feedsFile), st); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if st.Next == nil {
		st.Next, st.Sent, st.Foreign = map[string]int64{}, map[string]int64{}, map[string][][2]int64{}
	}
	return st, nil
}

func (s *sharing) keepFeedState(st *feedState) error {
	return s.m.state.writeJSON(s.file(feedsFile), st)
}

func segmentKey(f *feed, n int64) string { return fmt.Sprintf("%s/%012d", f.name, n) }

// sendFeeds uploads the lines that were added here, as the next segments. If a
// mirror dies before it notes that, the lines come twice, which does no harm.
func (s *sharing) sendFeeds(ctx context.Context) (sent bool, err error) {
	st, err := s.feedState()
	if err != nil {
		return false, err
	}
	for _, f := range s.feeds {
		for {
			text, at, err := f.due(st)
			if err != nil || len(text) == 0 && at == st.Sent[f.name] {
				if err != nil {
					return sent, err
				}
				break
			}
			if len(text) > 0 {
				_, err = s.store.Put(ctx, segmentKey(f, st.Next[f.name]), share.Seal(f.name, text), "")
				if s.note(err); errors.Is(err, share.ErrConflict) {
					if err = s.takeFeed(ctx, st, f); err == nil {
						continue
					}
				}
				if err != nil {
					return sent, err
				}
				st.Next[f.name]++
				sent = true
			}
			st.Sent[f.name] = at + int64(len(text))
			if err := s.keepFeedState(st); err != nil {
				return sent, err
			}
		}
	}
	return sent, nil
}

// due returns lines to upload, and where they begin. Without lines all before
// that is done with.
func (f *feed) due(st *feedState) (text []byte, at int64, err error) {
	at = st.Sent[f.name]
	end := f.lines.length()
	for _, r := range st.Foreign[f.name] {
		if at >= r[0] {
			at = max(at, r[1])
		} else {
			end = min(end, r[0])
		}
	}
	text = make([]byte, min(max(end-at, 0), maxSegment))
	if len(text) > 0 {
		if _, err := f.lines.f.ReadAt(text, at); err != nil {
			return nil, at, err
		}
	}
	return text[:bytes.LastIndexByte(text, '\n')+1], at, nil
}

func (s *sharing) takeFeeds(ctx context.Context) error {
	st, err := s.feedState()
	if err != nil {
		return err
	}
	for _, f := range s.feeds {
		if err := s.takeFeed(ctx, st, f); err != nil {
			return err
		}
	}
	return nil
}

// takeFeed takes in the segments that were added since. One that is damaged is
// passed over.
func (s *sharing) takeFeed(ctx context.Context, st *feedState, f *feed) error {
	for {
		key := segmentKey(f, st.Next[f.name])
		text, _, err := s.get(ctx, f.name, key)
		if missing(err) {
			return nil
		}
		if errors.Is(err, share.ErrDamaged) {
			s.tellBad(key, err)
		} else if err != nil {
			return err
		} else if err := s.takeIn(st, f, text); err != nil {
			return err
		}
		st.Next[f.name]++
		if err := s.keepFeedState(st); err != nil {
			return err
		}
	}
}

// takeIn adds lines and notes that they are not this mirror's own.
func (s *sharing) takeIn(st *feedState, f *feed, text []byte) error {
	s.m.historyMu.Lock()
	defer s.m.historyMu.Unlock()
	from := f.lines.length()
	if err := f.merge(text); err != nil {
		return err
	}
	// Of identities one may have been added here meanwhile, so all are sent on.
	if to := f.lines.length(); to > from && f.name == "history" {
		st.Foreign[f.name] = append(st.Foreign[f.name], [2]int64{from, to})
	}
	st.Foreign[f.name] = joinRanges(st.Foreign[f.name], st.Sent[f.name])
	return nil
}

// joinRanges drops what was passed, and joins what touches.
func joinRanges(all [][2]int64, done int64) [][2]int64 {
	var out [][2]int64
	for _, r := range all {
		switch n := len(out); {
		case r[1] <= done:
		case n > 0 && out[n-1][1] == r[0]:
			out[n-1][1] = r[1]
		default:
			out = append(out, r)
		}
	}
	return out
}

// parseHistory reads a segment; lines that are none are passed over.
func parseHistory(text []byte) (out []Seen) {
	seen := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		one, ok := parseSeen(line)
		if key := string(one.pathKey()); ok && !seen[key] {
			seen[key] = true
			out = append(out, one)
		}
	}
	return out
}

// mergeHistory adds a segment. The caller has historyMu.
func (s *sharing) mergeHistory(text []byte) error {
	return s.m.seeLocked(parseHistory(text))
}

func parseIdentity(line string) (id [32]byte, d lockfile.Digest, ok bool) {
	left, right, _ := strings.Cut(strings.TrimSpace(line), " ")
	raw, err1 := hex.DecodeString(left)
	d, err2 := lockfile.ParseDigest(right)
	if err1 != nil || err2 != nil || len(raw) != 32 {
		return id, d, false
	}
	return [32]byte(raw), d, true
}

// mergeIdentities adds those of which nothing is known here.
func (s *sharing) mergeIdentities(text []byte) error {
	for line := range strings.Lines(string(text)) {
		id, d, ok := parseIdentity(line)
		if _, known := s.m.identities.get(id); !ok || known {
			continue
		}
		if err := s.m.identities.put(id, d); err != nil {
			return err
		}
	}
	return nil
}
