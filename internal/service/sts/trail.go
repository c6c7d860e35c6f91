package sts

import api "github.com/coffer-registry/coffer/internal/awsapi/sts"

// shownInput is what the trail shows of the inputs: all but one-time codes.
type shownInput struct {
	RoleARN        string                     `json:"roleArn,omitempty"`
	SessionName    string                     `json:"roleSessionName,omitempty"`
	Name           string                     `json:"name,omitempty"`
	Policy         string                     `json:"policy,omitempty"`
	PolicyARNs     []api.PolicyDescriptorType `json:"policyArns,omitempty"`
	Duration       *int64                     `json:"durationSeconds,omitempty"`
	Tags           map[string]string          `json:"principalTags,omitempty"`
	Transitive     []string                   `json:"transitiveTagKeys,omitempty"`
	ExternalID     string                     `json:"externalId,omitempty"`
	Serial         string                     `json:"serialNumber,omitempty"`
	SourceIdentity string                     `json:"sourceIdentity,omitempty"`
	Provider       string                     `json:"principalArn,omitempty"`
}

// shownOutput is what the trail shows of the outputs: all but secrets.
type shownOutput struct {
	Credentials    *shownKey      `json:"credentials,omitempty"`
	AssumedRole    *shownIdentity `json:"assumedRoleUser,omitempty"`
	Federated      *shownIdentity `json:"federatedUser,omitempty"`
	Packed         *int64         `json:"packedPolicySize,omitempty"`
	SourceIdentity string         `json:"sourceIdentity,omitempty"`
}

type shownKey struct {
	AccessKeyID  string `json:"accessKeyId"`
	SessionToken string `json:"sessionToken"`
	Expiration   string `json:"expiration"`
}

type shownIdentity struct {
	RoleID string `json:"assumedRoleId,omitempty"`
	UserID string `json:"federatedUserId,omitempty"`
	ARN    string `json:"arn"`
}

// hidden stands in the trail for a secret.
const hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// trailTime is how the trail writes times within what an operation answers.
const trailTime = "Jan 2, 2006 3:04:05 PM"

func shownCredentials(c *api.Credentials) *shownKey {
	return &shownKey{c.AccessKeyID, hidden, c.Expiration.Time().Format(trailTime)}
}

func shownRole(u *api.AssumedRoleUser) *shownIdentity {
	return &shownIdentity{RoleID: u.AssumedRoleID, ARN: u.Arn}
}

func shownUser(u *api.FederatedUser) *shownIdentity {
	return &shownIdentity{UserID: u.FederatedUserID, ARN: u.Arn}
}

func shownTags(tags []api.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		out[t.Key] = t.Value
	}
	return out
}
