package awsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/coffer-registry/coffer/internal/access"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// Call is what an operation knows of the request beside its input.
type Call struct {
	Caller identity.Caller
	// Region is the one that the request was signed for.
	Region string
	// BaseURL is how the client reached this server, such as http://localhost:5000.
	BaseURL string
	// Found is what Ask of the operation found out.
	Found any
	// MayAgain reports whether the caller could make the call again if its resources had this policy in place of the one of
	// its kind, or could do what other questions ask, if there are any.
	MayAgain func(ctx context.Context, next *policy.Policy, instead ...policy.Question) bool
	// Forward authorises a call of another service with the caller's rights, and RecordForwarded leaves its record. They are those
	// of access.Pass.
	Forward         func(context.Context, Forwarded) error
	RecordForwarded func(*store.Tx, Forwarded) error
}

// Forwarded is a call of another service that an operation makes with the rights of its caller.
type Forwarded = access.Forwarded

// DeniedError is what Call.Forward returns if the caller may not.
type DeniedError = access.DeniedError

// Asked is what an operation asks of the gate that had to look something up first.
type Asked struct {
	Questions []policy.Question
	Context   policy.Context
	// EncryptionContext is that of a cryptographic operation, which grants of keys look at.
	EncryptionContext map[string]string
	// Caller is who asks, of an operation that takes no signature; nil is who signed.
	Caller *identity.Caller
	// Account owns what is asked for, and keeps the record; empty is that of the caller.
	Account string
	// Found is handed on to the operation in its Call.
	Found any
}

// Op is an operation of an AWS service as a value. The dispatcher does the rest: it authenticates, decodes, validates,
// authorises, encodes and records. Exactly one of Read, Write and Stage is set; that of Write and Stage makes the
// operation a change, whose record is written in its own transaction.
type Op[I, O any] struct {
	// Action is the IAM action, such as "ecr:CreateRepository"; its second half is the operation's name in the model,
	// unless Name is set.
	Action string
	// Name is the operation's name where it isn't that of the action.
	Name string
	// Also are further actions that the input needs, such as "ecr:TagResource" for a creation with tags; nil for none.
	Also func(*I) []string
	// Resources are what the policies are asked about. None at all means that the operation needs no permission.
	Resources func(Call, *I) []policy.Resource
	// Context returns the request's own condition keys; nil for none.
	Context func(Call, *I) policy.Context
	// Ask takes the place of Also, Resources and Context where the questions depend on what is to be looked up first. It
	// must not tell in an error what the caller may not know.
	Ask func(context.Context, Call, *I) (Asked, error)
	// Parameters is what the trail shows of the input; nil is the input itself. It must leave out secrets and layer bytes.
	Parameters func(*I) any
	// Response is what the trail shows of the output; nil is the output itself for a change, and nothing for a Read.
	Response func(*O) any
	// JSON says that who asks for it gets the answer of the query protocol as JSON.
	JSON bool
	// MaxBody bounds the request's body in bytes; 0 is DefaultMaxBody.
	MaxBody int64

	Read  func(context.Context, Call, *I) (*O, error)
	Write func(*store.Tx, Call, *I) (*O, error)
	Stage func(context.Context, Call, *I) (Staged[O], error)
}

// Staged is a change whose bytes are in place already. Save makes it visible, and may run more than once; Close runs in
// any case.
type Staged[O any] struct {
	Save  func(*store.Tx) (*O, error)
	Close func() error
}

// DefaultMaxBody bounds the body of a request, in bytes.
const DefaultMaxBody = 1 << 20

// Service is an AWS service that is served.
type Service struct {
	Model *Model
	// EventSource is the service's name in the trail, such as "ecr.amazonaws.com".
	EventSource string
	// Global is set for a service that is the same in all regions, so that a call may be signed for any.
	Global bool
	// Problem turns an error of an operation into what the client is told; nil for what it doesn't know.
	Problem func(error) *Error
	// Admit refuses callers who may not call an operation with the credentials that they have; nil is for all.
	Admit func(c identity.Caller, operation string) *Error

	operations map[string]operation
}

// Served returns the names of the operations that were added, sorted.
func (s *Service) Served() []string { return slices.Sorted(maps.Keys(s.operations)) }

// operation is an Op without its types.
type operation struct {
	model      *Operation
	action     string
	mutates    bool
	json       bool
	maxBody    int64
	newInput   func() any
	ask        func(context.Context, Call, any) (Asked, error)
	parameters func(any) any
	// shown writes what the trail shows.
	shown func(any) (json.RawMessage, error)
	read  func(context.Context, Call, any) (output any, shown json.RawMessage, err error)
	stage func(context.Context, Call, any) (stagedAny, error)
}

type stagedAny struct {
	save  func(*store.Tx) (output any, shown json.RawMessage, err error)
	close func() error
}

// Add makes an operation part of a service. It panics on an operation that the model lacks or that is there already,
// which only a mistake in the code can bring about.
func Add[I, O any](s *Service, op Op[I, O]) {
	name := op.Name
	if name == "" {
		_, name, _ = strings.Cut(op.Action, ":")
	}
	model := s.Model.Operations[name]
	if model == nil {
		panic(fmt.Sprintf("awsapi: service %s has no operation %q", s.Model.Name, name))
	}
	if _, twice := s.operations[name]; twice {
		panic(fmt.Sprintf("awsapi: operation %s is added twice", name))
	}
	if s.operations == nil {
		s.operations = map[string]operation{}
	}
	o := operation{
		model: model, action: op.Action, mutates: op.Read == nil, json: op.JSON, maxBody: op.MaxBody, shown: trailWriter(model),
		newInput: func() any { return new(I) },
		ask:      func(ctx context.Context, c Call, in any) (Asked, error) { return op.asked(ctx, c, in.(*I)) },
		parameters: func(in any) any {
			if op.Parameters == nil {
				return in
			}
			return op.Parameters(in.(*I))
		},
	}
	if o.maxBody == 0 {
		o.maxBody = DefaultMaxBody
	}
	if op.Read != nil {
		o.read = func(ctx context.Context, c Call, in any) (any, json.RawMessage, error) {
			out, err := op.Read(ctx, c, in.(*I))
			if err != nil || op.Response == nil {
				return out, nil, err
			}
			shown, err := o.shown(op.Response(out))
			return out, shown, err
		}
	}
	o.stage = func(ctx context.Context, c Call, in any) (stagedAny, error) {
		return op.staged(ctx, c, in.(*I), o.shown)
	}
	s.operations[name] = o
}

// asked are the questions of the operation, which every one has in one form or the other.
func (op Op[I, O]) asked(ctx context.Context, c Call, in *I) (a Asked, err error) {
	if op.Ask != nil {
		return op.Ask(ctx, c, in)
	}
	actions := []string{op.Action}
	if op.Also != nil {
		actions = append(actions, op.Also(in)...)
	}
	if op.Resources != nil {
		a.Questions = policy.Ask(actions, op.Resources(c, in)...)
	}
	if op.Context != nil {
		a.Context = op.Context(c, in)
	}
	return a, nil
}

// staged brings Write and Stage into one form.
func (op Op[I, O]) staged(ctx context.Context, c Call, in *I, write func(any) (json.RawMessage, error)) (stagedAny, error) {
	change := Staged[O]{Save: func(tx *store.Tx) (*O, error) { return op.Write(tx, c, in) }}
	if op.Stage != nil {
		var err error
		if change, err = op.Stage(ctx, c, in); err != nil {
			return stagedAny{}, err
		}
	}
	if change.Close == nil {
		change.Close = func() error { return nil }
	}
	return stagedAny{close: change.Close, save: func(tx *store.Tx) (any, json.RawMessage, error) {
		out, err := change.Save(tx)
		if err != nil {
			return nil, nil, err
		}
		var shown any = out
		if op.Response != nil {
			shown = op.Response(out)
		}
		text, err := write(shown)
		return out, text, err
	}}, nil
}
