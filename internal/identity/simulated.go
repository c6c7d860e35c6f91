package identity

import (
	"time"

	"github.com/coffer-registry/coffer/internal/iam"
)

// simulatedSession is the name of the sessions of roles that nobody made.
const simulatedSession = "simulation"

// Simulated is the caller that a user would be with an access key of its own, or that a session of a role would be that was
// made at a moment, without tags and policies: for the policy simulator. There are no credentials for it.
func Simulated(st *iam.Standing, at time.Time) Caller {
	var session *Session
	if st.Kind == iam.KindRole {
		session = &Session{Kind: RoleSession, Name: simulatedSession, Issued: at.UnixMicro()}
	}
	c := callerOf(st, session)
	c.Keys = keysOf(c)
	return c
}
