package ecr

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/ecr"
	"github.com/coffer-registry/coffer/internal/ecrtext"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addAccountSettings(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.GetAccountSettingRequest, api.GetAccountSettingResponse]{
		Action:    "ecr:GetAccountSetting",
		Resources: func(c awsapi.Call, _ *api.GetAccountSettingRequest) []policy.Resource { return onRegistry(c) },
		Context:   func(_ awsapi.Call, in *api.GetAccountSettingRequest) policy.Context { return settingKeys(in.Name) },
		Read:      s.getAccountSetting,
	})
	awsapi.Add(out, awsapi.Op[api.PutAccountSettingRequest, api.PutAccountSettingResponse]{
		Action:    "ecr:PutAccountSetting",
		Resources: func(c awsapi.Call, _ *api.PutAccountSettingRequest) []policy.Resource { return onRegistry(c) },
		Context:   func(_ awsapi.Call, in *api.PutAccountSettingRequest) policy.Context { return settingKeys(in.Name) },
		Write:     s.putAccountSetting,
	})
}

func settingKeys(name string) policy.Context {
	return policy.Context{"ecr:accountsetting": {name}}
}

// accountSetting is a setting that can be read and put. The settings of ECR belong to an account in a region; those of
// Coffer's own, to an account.
type accountSetting struct {
	get func(context.Context, *service, awsapi.Call) (string, error)
	// put returns the value that is in force then.
	put func(tx *store.Tx, s *service, c awsapi.Call, value string) (string, error)
}

// accountSettings are those that are served.
var accountSettings = map[string]accountSetting{
	string(registry.PolicyScope):        registrySetting(registry.PolicyScope),
	string(registry.BlobMounting):       registrySetting(registry.BlobMounting),
	"COFFER_REGISTRY_TOKEN_LIFETIME":    {getTokenLifetime, putTokenLifetime},
	"COFFER_REGISTRY_TOKENS_NOT_BEFORE": {getTokensNotBefore, putTokensNotBefore},
}

// scanTypeSetting chooses what scans images, which nothing does yet.
const scanTypeSetting = "BASIC_SCAN_TYPE_VERSION"

func findSetting(name string) (accountSetting, error) {
	if setting, ok := accountSettings[name]; ok {
		return setting, nil
	}
	if name == scanTypeSetting {
		return accountSetting{}, clientError("ValidationException", "This feature is disabled: images are not scanned on this server yet")
	}
	return accountSetting{}, invalidSetting("name", "Member must satisfy enum value set: ["+strings.Join(slices.Sorted(maps.Keys(accountSettings)), ", ")+"]")
}

// invalidSetting says that a name or value of a setting breaks a rule, in the form of the newer operations.
func invalidSetting(field, reason string) error {
	return clientError("ValidationException", ecrtext.InvalidParameter(field, reason))
}

func (s *service) getAccountSetting(ctx context.Context, c awsapi.Call, in *api.GetAccountSettingRequest) (*api.GetAccountSettingResponse, error) {
	setting, err := findSetting(in.Name)
	if err != nil {
		return nil, err
	}
	value, err := setting.get(ctx, s, c)
	return &api.GetAccountSettingResponse{Name: in.Name, Value: value}, err
}

func (s *service) putAccountSetting(tx *store.Tx, c awsapi.Call, in *api.PutAccountSettingRequest) (*api.PutAccountSettingResponse, error) {
	setting, err := findSetting(in.Name)
	if err != nil {
		return nil, err
	}
	value, err := setting.put(tx, s, c, in.Value)
	return &api.PutAccountSettingResponse{Name: in.Name, Value: value}, err
}

func registrySetting(name registry.Setting) accountSetting {
	return accountSetting{
		get: func(ctx context.Context, s *service, c awsapi.Call) (value string, err error) {
			err = s.Registry.View(ctx, func(tx *store.Tx) error {
				value, err = s.Registry.Setting(tx, registryID(c, ""), name)
				return err
			})
			return value, err
		},
		put: func(tx *store.Tx, s *service, c awsapi.Call, value string) (string, error) {
			return value, s.Registry.PutSetting(tx, registryID(c, ""), name, value)
		},
	}
}

// minTokenLifetime is the shortest that a registry token may be good for: clients that ask for a new one only when the old
// one has ended need some time.
const minTokenLifetime = 15 * time.Minute

func getTokenLifetime(ctx context.Context, s *service, c awsapi.Call) (string, error) {
	account, err := s.IAM.Account(ctx, c.Caller.Principal.Account)
	life := account.TokenLifetime
	if life == 0 {
		life = identity.TokenLifetime
	}
	return seconds(life), err
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

func putTokenLifetime(tx *store.Tx, s *service, c awsapi.Call, value string) (string, error) {
	n, err := strconv.ParseInt(value, 10, 32)
	life := time.Duration(n) * time.Second
	if err != nil || life < minTokenLifetime || life > identity.TokenLifetime {
		return "", invalidSetting("value", fmt.Sprintf("Member must be a number of seconds from %s to %s", seconds(minTokenLifetime), seconds(identity.TokenLifetime)))
	}
	return seconds(life), s.IAM.SetTokenLifetime(tx, c.Caller.Principal.Account, life)
}

func getTokensNotBefore(ctx context.Context, s *service, c awsapi.Call) (string, error) {
	account, err := s.IAM.Account(ctx, c.Caller.Principal.Account)
	if account.TokensAfter.IsZero() {
		return moment(time.Unix(0, 0)), err
	}
	return moment(account.TokensAfter), err
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// putTokensNotBefore makes void what was issued before a moment, or before now. What is void stays so, whatever is put
// later.
func putTokensNotBefore(tx *store.Tx, s *service, c awsapi.Call, value string) (string, error) {
	now := s.Now()
	at := now
	if value != "now" {
		var err error
		if at, err = time.Parse(time.RFC3339, value); err != nil || at.After(now) {
			return "", invalidSetting("value", "Member must be now, or a time that is past, such as 2026-01-02T15:04:05Z")
		}
	}
	return moment(at.Truncate(time.Microsecond)), s.IAM.RevokeSessions(tx, c.Caller.Principal.Account, at)
}
