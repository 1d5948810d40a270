package share

import (
	"bytes"
	"errors"
	"testing"
)

// What was sealed is read again; anything else is damaged.
func FuzzUnseal(f *testing.F) {
	f.Add([]byte("some text"), []byte("samebits pin e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"))
	f.Fuzz(func(t *testing.T, data, other []byte) {
		sealed := Seal("pin", data)
		if got, err := Unseal("pin", sealed); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%q, error %v", got, err)
		}
		if _, err := Unseal("root", sealed); !errors.Is(err, ErrDamaged) {
			t.Errorf("an object of another kind: %v", err)
		}
		if _, err := Unseal("pin", sealed[:len(sealed)-1]); !errors.Is(err, ErrDamaged) {
			t.Errorf("a truncated object: %v", err)
		}
		if got, err := Unseal("pin", other); err == nil && !bytes.Equal(Seal("pin", got), other) {
			t.Errorf("%q is taken for an object", other)
		}
	})
}
