package spec

import (
	"errors"
	"fmt"
)

// SecureBoot names a private key of RSA and the certificate of it, both files in
// PEM and relative to the spec.
type SecureBoot struct {
	Key         string `yaml:"key"`
	Certificate string `yaml:"certificate"`
}

func (s *Spec) checkSecureBoot() (string, error) {
	switch b := s.SecureBoot; {
	case b == SecureBoot{}:
		return "", nil
	case b.Key == "":
		return "$.secure-boot", errors.New("signing for Secure Boot wants a private key, too")
	case b.Certificate == "":
		return "$.secure-boot", errors.New("signing for Secure Boot wants the certificate of the private key, too")
	}
	for i, o := range s.Outputs {
		if o.Boot == "raspberry-pi" {
			return fmt.Sprintf("$.outputs[%d].boot", i), errors.New("the firmware of a Raspberry Pi has no Secure Boot, and this is to be signed for it")
		}
	}
	return "", nil
}
