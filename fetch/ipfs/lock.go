package ipfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs/go-cid"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// maxLock is the size of the largest lock that is read, in bytes. The format
// allows no larger one.
const maxLock = 32 << 20

// PullLock gets a lock by its CID: ipfs://CID from the kubo node on this
// machine, ipfs://HOST[:PORT]/CID from another, ipfs+gateway://HOST/CID from a
// gateway. Nobody is trusted: the CID is computed again from the bytes, so one
// of the profiles that are known here must have been used. It returns the bytes
// too, as they are.
func PullLock(ctx context.Context, client *web.Client, rawAddress string) (*lockfile.Lock, []byte, error) {
	a, err := parseAddress(rawAddress)
	if err == nil && a.cid == "" {
		err = errors.New("the address names no lock; it ends with the lock's CID, as in ipfs://HOST/CID")
	}
	if err != nil {
		return nil, nil, err
	}
	at, err := open(client, a)
	if err != nil {
		return nil, nil, err
	}
	body, err := within(ctx, patienceKnown, at, fetch.Request{CID: a.cid})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", at.Name(), err)
	}
	text, err := readBounded(body)
	if err == nil {
		err = checkCID(text, a.cid)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %s: %w", at.Name(), a.cid, err)
	}
	lock, err := lockfile.Parse(a.cid, bytes.NewReader(text))
	return lock, text, err
}

func readBounded(body *fetch.Body) ([]byte, error) {
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxLock+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxLock:
		return nil, fmt.Errorf("it is larger than the %d bytes that a lock may have", maxLock)
	}
	return text, nil
}

// checkCID computes the CID of text in each profile, and compares.
func checkCID(text []byte, want string) error {
	asked, err := cid.Decode(want)
	if err != nil {
		return err
	}
	for _, p := range Profiles {
		got, err := CID(bytes.NewReader(text), p)
		if err != nil {
			return err
		}
		if c, err := cid.Decode(got); err == nil && c.Equals(asked) {
			return nil
		}
	}
	return errors.New("the bytes that came have another CID in each known profile; they may be cut off or forged")
}
