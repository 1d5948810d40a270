package pacman

import (
	"fmt"
	"strings"
)

// A SigPolicy says whether signatures are asked for.
type SigPolicy int

// The policies, from the weakest: signatures are not looked at; they are
// checked where there are any; there must be one.
const (
	Never SigPolicy = iota
	Optional
	Required
)

// String returns the word of pacman.conf.
func (p SigPolicy) String() string {
	return [...]string{"Never", "Optional", "Required"}[p]
}

// A SigLevel says what is asked of the signatures of packages and databases.
type SigLevel struct {
	Package, Database SigPolicy
	// TrustAll has keys count that the keyring holds but does not trust.
	PackageTrustAll, DatabaseTrustAll bool
}

// DefaultSigLevel is what pacman does where nothing is configured.
var DefaultSigLevel = SigLevel{Package: Optional, Database: Optional}

// with returns the level changed by the words of a SigLevel line. Words
// without a prefix are for packages and databases.
func (l SigLevel) with(words []string) (SigLevel, error) {
	for _, w := range words {
		pkg, db := true, true
		bare := w
		if s, ok := strings.CutPrefix(w, "Package"); ok {
			bare, db = s, false
		} else if s, ok := strings.CutPrefix(w, "Database"); ok {
			bare, pkg = s, false
		}
		var policy *SigPolicy
		trustAll := false
		switch bare {
		case "Never":
			policy = new(Never)
		case "Optional":
			policy = new(Optional)
		case "Required":
			policy = new(Required)
		case "TrustAll":
			trustAll = true
		case "TrustedOnly":
		default:
			return l, fmt.Errorf("%q is not known to SigLevel", w)
		}
		if pkg {
			setLevel(&l.Package, &l.PackageTrustAll, policy, trustAll)
		}
		if db {
			setLevel(&l.Database, &l.DatabaseTrustAll, policy, trustAll)
		}
	}
	return l, nil
}

func setLevel(p *SigPolicy, all *bool, policy *SigPolicy, trustAll bool) {
	if policy != nil {
		*p = *policy
	} else {
		*all = trustAll
	}
}
