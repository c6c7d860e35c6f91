package iam

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addServiceAccess(out *awsapi.Service) {
	awsapi.Add(out, onARN(awsapi.Op[api.GenerateServiceLastAccessedDetailsRequest, api.GenerateServiceLastAccessedDetailsResponse]{
		Action: "iam:GenerateServiceLastAccessedDetails",
		Write:  s.generateServiceAccess,
	}, func(in *api.GenerateServiceLastAccessedDetailsRequest) string { return in.Arn }))
	awsapi.Add(out, onAccount(awsapi.Op[api.GetServiceLastAccessedDetailsRequest, api.GetServiceLastAccessedDetailsResponse]{
		Action: "iam:GetServiceLastAccessedDetails",
		Read:   s.getServiceAccess,
	}))
	awsapi.Add(out, onAccount(awsapi.Op[api.GetServiceLastAccessedDetailsWithEntitiesRequest, api.GetServiceLastAccessedDetailsWithEntitiesResponse]{
		Action: "iam:GetServiceLastAccessedDetailsWithEntities",
		Read:   s.getServiceAccessWithEntities,
	}))
	awsapi.Add(out, onARN(awsapi.Op[api.ListPoliciesGrantingServiceAccessRequest, api.ListPoliciesGrantingServiceAccessResponse]{
		Action: "iam:ListPoliciesGrantingServiceAccess",
		Read:   s.listGrantingPolicies,
	}, func(in *api.ListPoliciesGrantingServiceAccessRequest) string { return in.Arn }))
}

// serviceNames are the services that there are here, as AWS calls them.
var serviceNames = map[string]string{
	"ecr": "Amazon Elastic Container Registry", "iam": "AWS Identity and Access Management", "kms": "AWS Key Management Service",
	"organizations": "AWS Organizations", "sts": "AWS Security Token Service",
}

// whoAsks is the unique id of the user or role who makes a call, or the account's id for its root.
func whoAsks(c awsapi.Call) string {
	if c.Caller.Principal.ID == "" {
		return c.Caller.Principal.Account
	}
	return c.Caller.Principal.ID
}

func (s *service) generateServiceAccess(tx *store.Tx, c awsapi.Call, in *api.GenerateServiceLastAccessedDetailsRequest) (*api.GenerateServiceLastAccessedDetailsResponse, error) {
	j, err := s.IAM.CreateAccessJob(tx, c.Caller.Principal.Account, iam.AccessJob{ARN: in.Arn,
		ByAction: in.Granularity == api.AccessAdvisorUsageGranularityTypeActionLevel, For: whoAsks(c)})
	return &api.GenerateServiceLastAccessedDetailsResponse{JobID: j.ID}, err
}

// withJob reads something of a job's entity. That the entity is gone is no error but the job's failure.
func (s *service) withJob(ctx context.Context, c awsapi.Call, id string, read func(*store.Tx, iam.AccessJob, iam.Entity) error) (j iam.AccessJob, failure *api.ErrorDetails, err error) {
	account := c.Caller.Principal.Account
	err = s.IAM.View(ctx, func(tx *store.Tx) (err error) {
		if j, err = s.IAM.AccessJob(tx, account, id, whoAsks(c)); err != nil {
			return err
		}
		e, err := s.IAM.EntityByARN(tx, account, j.ARN)
		var gone *iam.Error
		if errors.As(err, &gone) {
			failure = &api.ErrorDetails{Code: string(gone.Code), Message: gone.Message}
			return nil
		}
		if err != nil {
			return err
		}
		return read(tx, j, e)
	})
	return j, failure, err
}

// jobStatus is the state of a job, which is done when it is asked for.
func jobStatus(failure *api.ErrorDetails) string {
	if failure != nil {
		return api.JobStatusTypeFailed
	}
	return api.JobStatusTypeCompleted
}

func (s *service) getServiceAccess(ctx context.Context, c awsapi.Call, in *api.GetServiceLastAccessedDetailsRequest) (*api.GetServiceLastAccessedDetailsResponse, error) {
	name := "services of " + in.JobID
	after, n, err := paging(name, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &api.GetServiceLastAccessedDetailsResponse{JobType: api.AccessAdvisorUsageGranularityTypeServiceLevel, IsTruncated: new(bool)}
	j, failure, err := s.withJob(ctx, c, in.JobID, func(tx *store.Tx, j iam.AccessJob, e iam.Entity) error {
		last := strings.Join(after, "")
		page, more, err := s.IAM.ServicesAccessed(tx, c.Caller.Principal.Account, e, j.ByAction, slices.Collect(maps.Keys(serviceNames)), last, n)
		for _, a := range page {
			out.ServicesLastAccessed = append(out.ServicesLastAccessed, serviceAccessOf(a))
		}
		if *out.IsTruncated = more; more {
			out.Marker = nextMarker(name, page[len(page)-1].Service)
		}
		return err
	})
	if j.ByAction {
		out.JobType = api.AccessAdvisorUsageGranularityTypeActionLevel
	}
	out.JobStatus, out.Error = jobStatus(failure), failure
	out.JobCreationDate, out.JobCompletionDate = awsapi.NewTime(j.MadeAt), awsapi.NewTime(j.MadeAt)
	return out, err
}

func serviceAccessOf(a iam.ServiceAccess) api.ServiceLastAccessed {
	out := api.ServiceLastAccessed{ServiceName: a.Service, ServiceNamespace: a.Service, LastAuthenticated: timeOf(a.At),
		LastAuthenticatedEntity: a.By, LastAuthenticatedRegion: a.Region, TotalAuthenticatedEntities: &a.Entities}
	if name := serviceNames[a.Service]; name != "" {
		out.ServiceName = name
	}
	for _, action := range a.Actions {
		out.TrackedActionsLastAccessed = append(out.TrackedActionsLastAccessed, api.TrackedActionLastAccessed{ActionName: action.Action,
			LastAccessedEntity: action.By, LastAccessedTime: timeOf(action.At), LastAccessedRegion: action.Region})
	}
	return out
}

func (s *service) getServiceAccessWithEntities(ctx context.Context, c awsapi.Call, in *api.GetServiceLastAccessedDetailsWithEntitiesRequest) (*api.GetServiceLastAccessedDetailsWithEntitiesResponse, error) {
	name := "users of " + in.ServiceNamespace + " of " + in.JobID
	after, n, err := paging(name, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	var last iam.EntityAccess
	if len(after) == 2 {
		if micros, err := strconv.ParseInt(after[0], 10, 64); err == nil && micros != 0 {
			last.At = time.UnixMicro(micros)
		}
		last.ID = after[1]
	}
	out := &api.GetServiceLastAccessedDetailsWithEntitiesResponse{EntityDetailsList: []api.EntityDetails{}, IsTruncated: new(bool)}
	j, failure, err := s.withJob(ctx, c, in.JobID, func(tx *store.Tx, _ iam.AccessJob, e iam.Entity) error {
		page, more, err := s.IAM.EntitiesAccessed(tx, c.Caller.Principal.Account, e, strings.ToLower(in.ServiceNamespace), last, n)
		for _, a := range page {
			out.EntityDetailsList = append(out.EntityDetailsList, api.EntityDetails{LastAuthenticated: timeOf(a.At), EntityInfo: api.EntityInfo{
				Arn: a.ARN(), Name: a.Name, Type: strings.ToUpper(string(a.Kind)), Id: a.ID, Path: a.Path}})
		}
		if *out.IsTruncated = more; more {
			final := page[len(page)-1]
			micros := int64(0)
			if !final.At.IsZero() {
				micros = final.At.UnixMicro()
			}
			out.Marker = nextMarker(name, strconv.FormatInt(micros, 10), final.ID)
		}
		return err
	})
	out.JobStatus, out.Error = jobStatus(failure), failure
	out.JobCreationDate, out.JobCompletionDate = awsapi.NewTime(j.MadeAt), awsapi.NewTime(j.MadeAt)
	return out, err
}

// grantingPolicies is how many policies a page of listGrantingPolicies has, or a few more, since a service's stay together.
const grantingPolicies = 1000

// listGrantingPolicies lists, by service, the policies by which an identity may use something of it.
func (s *service) listGrantingPolicies(ctx context.Context, c awsapi.Call, in *api.ListPoliciesGrantingServiceAccessRequest) (*api.ListPoliciesGrantingServiceAccessResponse, error) {
	name := "policies of " + in.Arn
	after, _, err := paging(name, in.Marker, nil)
	if err != nil {
		return nil, err
	}
	next := 0
	if after != nil {
		if next, err = strconv.Atoi(after[0]); err != nil || next < 0 || next > len(in.ServiceNamespaces) {
			return nil, iam.Errorf(iam.ValidationError, "Invalid Marker.")
		}
	}
	var grants []iam.Grant
	err = s.IAM.View(ctx, func(tx *store.Tx) error {
		e, err := s.IAM.EntityByARN(tx, c.Caller.Principal.Account, in.Arn)
		if err == nil && e.Kind == iam.KindPolicy {
			err = iam.Errorf(iam.InvalidInput, "Invalid Entity Arn: %s does not clearly define entity type and name.", in.Arn)
		}
		if err != nil {
			return err
		}
		grants, err = s.IAM.Grants(tx, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &api.ListPoliciesGrantingServiceAccessResponse{PoliciesGrantingServiceAccess: []api.ListPoliciesGrantingServiceAccessEntry{}, IsTruncated: new(bool)}
	for count := 0; next < len(in.ServiceNamespaces) && count < grantingPolicies; next++ {
		entry := api.ListPoliciesGrantingServiceAccessEntry{ServiceNamespace: in.ServiceNamespaces[next], Policies: grantingAccess(grants, in.ServiceNamespaces[next])}
		out.PoliciesGrantingServiceAccess = append(out.PoliciesGrantingServiceAccess, entry)
		count += len(entry.Policies)
	}
	if *out.IsTruncated = next < len(in.ServiceNamespaces); *out.IsTruncated {
		out.Marker = nextMarker(name, strconv.Itoa(next))
	}
	return out, nil
}

// grantingAccess are those of the policies that allow something of a service.
func grantingAccess(grants []iam.Grant, service string) []api.PolicyGrantingServiceAccess {
	out := []api.PolicyGrantingServiceAccess{}
	managed := map[string]bool{} // which a user may have by itself and by groups
	for _, g := range grants {
		if managed[g.ARN] || !g.Policy.GrantsService(strings.ToLower(service)) {
			continue
		}
		p := api.PolicyGrantingServiceAccess{PolicyName: g.Name, PolicyType: api.PolicyTypeManaged, PolicyARN: g.ARN}
		if managed[g.ARN] = g.ARN != ""; g.ARN == "" {
			p.PolicyType, p.EntityType, p.EntityName = api.PolicyTypeInline, strings.ToUpper(string(g.Owner.Kind)), g.Owner.Name
		}
		out = append(out, p)
	}
	return out
}
