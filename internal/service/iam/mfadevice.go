package iam

import (
	"context"
	"net/url"
	"strings"

	"rsc.io/qr"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/iam"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addMFADevices(out *awsapi.Service) {
	awsapi.Add(out, awsapi.Op[api.CreateVirtualMFADeviceRequest, api.CreateVirtualMFADeviceResponse]{
		Action: "iam:CreateVirtualMFADevice",
		Ask:    askNewDevice,
		Write:  s.createDevice,
		Response: func(out *api.CreateVirtualMFADeviceResponse) any {
			d := out.VirtualMFADevice
			return api.CreateVirtualMFADeviceResponse{VirtualMFADevice: api.VirtualMFADevice{SerialNumber: d.SerialNumber, Tags: d.Tags}}
		},
	})
	awsapi.Add(out, onDevice(awsapi.Op[api.DeleteVirtualMFADeviceRequest, nothing]{
		Action: "iam:DeleteVirtualMFADevice",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeleteVirtualMFADeviceRequest) (*nothing, error) {
			d, err := s.device(tx, c, in.SerialNumber)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.DeleteMFADevice(tx, d)
		},
	}, func(in *api.DeleteVirtualMFADeviceRequest) string { return in.SerialNumber }))
	awsapi.Add(out, onAccount(awsapi.Op[api.ListVirtualMFADevicesRequest, api.ListVirtualMFADevicesResponse]{
		Action: "iam:ListVirtualMFADevices",
		Read:   s.listVirtualDevices,
	}))
	s.addAssignedDevices(out)
	s.addDeviceTags(out)
}

// askNewDevice asks about the device that there is going to be.
func askNewDevice(_ context.Context, c awsapi.Call, in *api.CreateVirtualMFADeviceRequest) (a awsapi.Asked, err error) {
	account := c.Caller.Principal.Account
	actions := []string{"iam:CreateVirtualMFADevice"}
	a.Context = policy.Context{}
	if len(in.Tags) > 0 {
		actions = append(actions, "iam:TagMFADevice")
		putTags(a.Context, in.Tags)
	}
	a.Questions = policy.Ask(actions, policy.Resource{ARN: iam.MFASerial(account, in.Path, in.VirtualMFADeviceName), Account: account})
	return a, nil
}

// onDevice makes the question of an operation on a device that is named by its serial number.
func onDevice[I, O any](op awsapi.Op[I, O], serial func(*I) string) awsapi.Op[I, O] {
	op.Resources = func(c awsapi.Call, in *I) []policy.Resource {
		return []policy.Resource{{ARN: serial(in), Account: c.Caller.Principal.Account}}
	}
	return op
}

// device finds a device of the caller's account.
func (s *service) device(tx *store.Tx, c awsapi.Call, serial string) (iam.MFADevice, error) {
	d, err := s.IAM.MFADevice(tx, serial)
	if err == nil && d.Account != c.Caller.Principal.Account {
		return iam.MFADevice{}, iam.NoMFADevice(serial)
	}
	return d, err
}

func (s *service) createDevice(tx *store.Tx, c awsapi.Call, in *api.CreateVirtualMFADeviceRequest) (*api.CreateVirtualMFADeviceResponse, error) {
	account := c.Caller.Principal.Account
	d, seed, err := s.IAM.CreateMFADevice(tx, account, in.Path, in.VirtualMFADeviceName)
	if err != nil {
		return nil, err
	}
	picture, err := qr.Encode(enrolment(d, seed), qr.M)
	if err != nil {
		return nil, err
	}
	out := api.VirtualMFADevice{SerialNumber: d.Serial(), Base32StringSeed: []byte(seed.Reveal()), QRCodePNG: picture.PNG(), Tags: in.Tags}
	return &api.CreateVirtualMFADeviceResponse{VirtualMFADevice: out}, s.IAM.PutTags(tx, account, d.Serial(), tagsFrom(in.Tags))
}

// enrolment is the address that an app reads from the picture. It names the device as AWS names the user, since whose it is
// going to be is not known yet.
func enrolment(d iam.MFADevice, seed secret.Text) string {
	const issuer = "Amazon%20Web%20Services"
	return "otpauth://totp/" + issuer + ":" + url.PathEscape(d.Name+"@"+d.Account) + "?secret=" + seed.Reveal() + "&issuer=" + issuer
}

func (s *service) listVirtualDevices(ctx context.Context, c awsapi.Call, in *api.ListVirtualMFADevicesRequest) (*api.ListVirtualMFADevicesResponse, error) {
	list := "virtual MFA devices " + in.AssignmentStatus
	after, n, err := paging(list, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	account, err := s.IAM.Account(ctx, c.Caller.Principal.Account)
	if err != nil {
		return nil, err
	}
	out := &api.ListVirtualMFADevicesResponse{VirtualMFADevices: []api.VirtualMFADevice{}, IsTruncated: new(bool)}
	return out, s.IAM.View(ctx, func(tx *store.Tx) error {
		devices, last, more, err := s.IAM.MFADevicePage(tx, account.ID, iam.Assignment(in.AssignmentStatus), first(after), n)
		if err != nil {
			return err
		}
		for _, d := range devices {
			shown, err := s.virtualDevice(tx, account, d)
			if err != nil {
				return err
			}
			out.VirtualMFADevices = append(out.VirtualMFADevices, shown)
		}
		if *out.IsTruncated = more; more {
			out.Marker = nextMarker(list, last)
		}
		return nil
	})
}

// first is where a list goes on that is ordered by one text.
func first(after []string) string {
	if len(after) == 0 {
		return ""
	}
	return after[0]
}

// virtualDevice is a device as the list of all shows it, with its user.
func (s *service) virtualDevice(tx *store.Tx, account iam.Account, d iam.MFADevice) (api.VirtualMFADevice, error) {
	out := api.VirtualMFADevice{SerialNumber: d.Serial()}
	switch d.Owner {
	case "":
		return out, nil
	case account.ID:
		out.User = &api.User{UserID: account.ID, Arn: iam.RootOf(account.ID), CreateDate: awsapi.NewTime(account.CreatedAt)}
	default:
		u, err := s.IAM.UserByID(tx, d.Account, d.Owner)
		if err != nil {
			return out, err
		}
		out.User = userOf(u)
	}
	enabled := awsapi.NewTime(d.EnabledAt)
	out.EnableDate = &enabled
	return out, nil
}

// addAssignedDevices adds the operations on the devices of one user.
func (s *service) addAssignedDevices(out *awsapi.Service) {
	awsapi.Add(out, onOwner(s, awsapi.Op[api.EnableMFADeviceRequest, nothing]{
		Action: "iam:EnableMFADevice",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.EnableMFADeviceRequest) (*nothing, error) {
			owner, _, err := s.deviceOwner(tx, c, in.UserName)
			if err != nil {
				return nil, err
			}
			d, err := s.device(tx, c, in.SerialNumber)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.EnableMFADevice(tx, d, owner, in.AuthenticationCode1, in.AuthenticationCode2)
		},
		Parameters: func(in *api.EnableMFADeviceRequest) any { return shownAssignment{in.UserName, in.SerialNumber} },
	}, func(in *api.EnableMFADeviceRequest) string { return in.UserName }))
	awsapi.Add(out, onOwner(s, awsapi.Op[api.ResyncMFADeviceRequest, nothing]{
		Action: "iam:ResyncMFADevice",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.ResyncMFADeviceRequest) (*nothing, error) {
			d, _, err := s.deviceOf(tx, c, in.UserName, in.SerialNumber)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.ResyncMFADevice(tx, d, in.AuthenticationCode1, in.AuthenticationCode2)
		},
		Parameters: func(in *api.ResyncMFADeviceRequest) any { return shownAssignment{in.UserName, in.SerialNumber} },
	}, func(in *api.ResyncMFADeviceRequest) string { return in.UserName }))
	awsapi.Add(out, onOwner(s, awsapi.Op[api.DeactivateMFADeviceRequest, nothing]{
		Action: "iam:DeactivateMFADevice",
		Write: func(tx *store.Tx, c awsapi.Call, in *api.DeactivateMFADeviceRequest) (*nothing, error) {
			d, _, err := s.deviceOf(tx, c, in.UserName, in.SerialNumber)
			if err != nil {
				return nil, err
			}
			return &nothing{}, s.IAM.DeactivateMFADevice(tx, d)
		},
	}, func(in *api.DeactivateMFADeviceRequest) string { return in.UserName }))
	awsapi.Add(out, onOwner(s, awsapi.Op[api.GetMFADeviceRequest, api.GetMFADeviceResponse]{
		Action: "iam:GetMFADevice",
		Read:   s.getDevice,
	}, func(in *api.GetMFADeviceRequest) string { return in.UserName }))
	awsapi.Add(out, onOwner(s, awsapi.Op[api.ListMFADevicesRequest, api.ListMFADevicesResponse]{
		Action: "iam:ListMFADevices",
		Read:   s.listDevices,
	}, func(in *api.ListMFADevicesRequest) string { return in.UserName }))
}

// shownAssignment is what the trail shows of operations that take one-time codes.
type shownAssignment struct {
	UserName     string `json:"userName"`
	SerialNumber string `json:"serialNumber"`
}

// onOwner makes the question of an operation on the devices of one user, by its name: about the user, and about the root
// where its account's id stands for a user name.
func onOwner[I, O any](s *service, op awsapi.Op[I, O], name func(*I) string) awsapi.Op[I, O] {
	op = onEntity(s, iam.KindUser, op, name, nil)
	ask := op.Ask
	op.Ask = func(ctx context.Context, c awsapi.Call, in *I) (awsapi.Asked, error) {
		a, err := ask(ctx, c, in)
		if err == nil && name(in) == c.Caller.Principal.Account && c.Caller.Principal.Root {
			a.Questions = policy.Ask([]string{op.Action}, policy.Resource{ARN: c.Caller.Principal.ARN, Account: c.Caller.Principal.Account})
		}
		return a, err
	}
	return op
}

// deviceOwner finds whose devices an operation is about: a user's, by name, or the caller's own. The account's id in place
// of a user name is the root, for the root itself.
func (s *service) deviceOwner(tx *store.Tx, c awsapi.Call, name string) (owner, shown string, err error) {
	account := c.Caller.Principal.Account
	user, err := s.userOrRoot(tx, c, name)
	if iam.IsMissing(err) && c.Caller.Principal.Root && name == account {
		user, err = nil, nil
	}
	switch {
	case err != nil:
		return "", "", err
	case user == nil:
		return account, account, nil
	}
	return user.ID, user.Name, nil
}

// deviceOf finds one of somebody's devices.
func (s *service) deviceOf(tx *store.Tx, c awsapi.Call, name, serial string) (d iam.MFADevice, user string, err error) {
	owner, user, err := s.deviceOwner(tx, c, name)
	if err != nil {
		return d, user, err
	}
	d, err = s.IAM.MFADeviceOf(tx, owner, serial)
	return d, user, err
}

func (s *service) getDevice(ctx context.Context, c awsapi.Call, in *api.GetMFADeviceRequest) (out *api.GetMFADeviceResponse, err error) {
	return out, s.IAM.View(ctx, func(tx *store.Tx) error {
		d, user, err := s.deviceOf(tx, c, in.UserName, in.SerialNumber)
		if err != nil {
			return err
		}
		enabled := awsapi.NewTime(d.EnabledAt)
		out = &api.GetMFADeviceResponse{UserName: user, SerialNumber: d.Serial(), EnableDate: &enabled}
		return nil
	})
}

func (s *service) listDevices(ctx context.Context, c awsapi.Call, in *api.ListMFADevicesRequest) (*api.ListMFADevicesResponse, error) {
	list := "MFA devices of " + strings.ToLower(in.UserName)
	after, n, err := paging(list, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &api.ListMFADevicesResponse{MFADevices: []api.MFADevice{}, IsTruncated: new(bool)}
	return out, s.IAM.View(ctx, func(tx *store.Tx) error {
		owner, user, err := s.deviceOwner(tx, c, in.UserName)
		if err != nil {
			return err
		}
		devices, more, err := s.IAM.MFADevices(tx, owner, first(after), n)
		for _, d := range devices {
			out.MFADevices = append(out.MFADevices, api.MFADevice{UserName: user, SerialNumber: d.Serial(), EnableDate: awsapi.NewTime(d.EnabledAt)})
		}
		if *out.IsTruncated = more; more {
			out.Marker = nextMarker(list, devices[len(devices)-1].Serial())
		}
		return err
	})
}
