package iam_test

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/fipstest"
)

const (
	phoneSerial  = "arn:aws:iam::123456789012:mfa/phone"
	tabletSerial = "arn:aws:iam::123456789012:mfa/team/tablet"
)

func TestVirtualMFADevices(t *testing.T) {
	clock := coffertest.NewClock()
	s := coffertest.Start(t, coffertest.Clock(clock.Now))
	run(t, s, []call{{"CreateUser", in{"UserName": "ann", "Path": "/team/"}, ""}, {"CreateUser", in{"UserName": "bob"}, ""}})
	phone := s.CreatePhone("phone")
	now := clock.Now().UTC().Format(time.RFC3339)
	run(t, s, []call{
		{"CreateVirtualMFADevice", in{"VirtualMFADeviceName": "tablet", "Path": "/team/", "Tags": tags("k", "v")}, "SerialNumber: " + tabletSerial + "\nKey: k\nValue: v\nUser:\nEnableDate:"},
		{"CreateVirtualMFADevice", in{"VirtualMFADeviceName": "phone"}, "EntityAlreadyExists: MFADevice entity at the same path and name already exists."},
		{"ListVirtualMFADevices", in{"AssignmentStatus": "Unassigned"}, "SerialNumber: " + phoneSerial + ", " + tabletSerial + "\nIsTruncated: false\nBase32StringSeed:\nQRCodePNG:"},
		{"ListVirtualMFADevices", in{"AssignmentStatus": "Assigned"}, "SerialNumber:"},
		{"ListMFADevices", in{"UserName": "ann"}, "SerialNumber:\nIsTruncated: false"},
		{"EnableMFADevice", in{"UserName": "ann", "SerialNumber": phoneSerial, "AuthenticationCode1": phone.Code(0), "AuthenticationCode2": phone.Code(-1)},
			"InvalidAuthenticationCode: Authentication code for device is not valid."},
		{"EnableMFADevice", in{"UserName": "nobody", "SerialNumber": phoneSerial, "AuthenticationCode1": phone.Code(-1), "AuthenticationCode2": phone.Code(0)},
			"NoSuchEntity: The user with name nobody cannot be found."},
		{"EnableMFADevice", in{"UserName": "ann", "SerialNumber": phoneSerial + "x", "AuthenticationCode1": phone.Code(-1), "AuthenticationCode2": phone.Code(0)},
			"NoSuchEntity: VirtualMFADevice with serial number " + phoneSerial + "x doesn't exist."},
		{"EnableMFADevice", in{"UserName": "ANN", "SerialNumber": phoneSerial, "AuthenticationCode1": phone.Code(-1), "AuthenticationCode2": phone.Code(0)}, ""},
		{"EnableMFADevice", in{"UserName": "bob", "SerialNumber": phoneSerial, "AuthenticationCode1": phone.Code(0), "AuthenticationCode2": phone.Code(1)},
			"EntityAlreadyExists: MFA Device is already in use."},
		{"ListMFADevices", in{"UserName": "ann"}, "UserName: ann\nSerialNumber: " + phoneSerial + "\nEnableDate: " + now},
		{"ListVirtualMFADevices", in{"AssignmentStatus": "Assigned"}, "SerialNumber: " + phoneSerial + "\nUserName: ann\nArn: arn:aws:iam::123456789012:user/team/ann\nEnableDate: " + now},
		{"ListVirtualMFADevices", in{"MaxItems": 1}, "SerialNumber: " + phoneSerial + "\nIsTruncated: true"},
		{"GetMFADevice", in{"UserName": "ann", "SerialNumber": phoneSerial}, "UserName: ann\nSerialNumber: " + phoneSerial + "\nEnableDate: " + now},
		{"GetMFADevice", in{"UserName": "bob", "SerialNumber": phoneSerial}, "NoSuchEntity: VirtualMFADevice with serial number " + phoneSerial + " doesn't exist."},
		{"DeleteVirtualMFADevice", in{"SerialNumber": phoneSerial}, "DeleteConflict: MFA VirtualDevice in use. Must deactivate first."},
		{"DeleteUser", in{"UserName": "ann"}, "DeleteConflict: Cannot delete entity, must delete MFA device first."},
		{"ResyncMFADevice", in{"UserName": "ann", "SerialNumber": phoneSerial, "AuthenticationCode1": phone.Code(0), "AuthenticationCode2": phone.Code(0)},
			"InvalidAuthenticationCode: Authentication code for device is not valid."},
		{"ResyncMFADevice", in{"UserName": "ann", "SerialNumber": phoneSerial, "AuthenticationCode1": phone.Code(0), "AuthenticationCode2": phone.Code(1)}, ""},
		{"DeactivateMFADevice", in{"UserName": "bob", "SerialNumber": phoneSerial}, "NoSuchEntity: VirtualMFADevice with serial number " + phoneSerial + " doesn't exist."},
		{"DeactivateMFADevice", in{"UserName": "ann", "SerialNumber": phoneSerial}, ""},
		{"DeleteVirtualMFADevice", in{"SerialNumber": phoneSerial}, ""},
		{"DeleteVirtualMFADevice", in{"SerialNumber": phoneSerial}, "NoSuchEntity: VirtualMFADevice with serial number " + phoneSerial + " doesn't exist."},
		{"DeleteUser", in{"UserName": "ann"}, ""},
	})
}

func TestPagesOfMFADevices(t *testing.T) {
	s := coffertest.Start(t)
	for _, name := range []string{"a", "b", "c"} {
		s.CreatePhone(name)
	}
	var names []string
	input := in{"MaxItems": 2}
	for range 2 {
		r := s.MustQuery("iam", "ListVirtualMFADevices", input)
		names = append(names, r.Texts("SerialNumber")...)
		input = in{"MaxItems": 2, "Marker": r.Text("Marker")}
	}
	if got := strings.Join(names, " "); got != "arn:aws:iam::123456789012:mfa/a arn:aws:iam::123456789012:mfa/b arn:aws:iam::123456789012:mfa/c" {
		t.Errorf("the devices are %s", got)
	}
}

func TestTagsOfMFADevices(t *testing.T) {
	s := coffertest.Start(t)
	s.CreatePhone("phone")
	run(t, s, []call{
		{"TagMFADevice", in{"SerialNumber": phoneSerial, "Tags": tags("a", "1", "b", "2")}, ""},
		{"TagMFADevice", in{"SerialNumber": phoneSerial, "Tags": tags("A", "3")}, ""},
		{"ListMFADeviceTags", in{"SerialNumber": phoneSerial}, "Key: A, b\nValue: 3, 2\nIsTruncated: false"},
		{"ListMFADeviceTags", in{"SerialNumber": phoneSerial, "MaxItems": 1}, "Key: A\nIsTruncated: true"},
		{"UntagMFADevice", in{"SerialNumber": phoneSerial, "TagKeys": []string{"B", "none"}}, ""},
		{"ListMFADeviceTags", in{"SerialNumber": phoneSerial}, "Key: A"},
		{"ListMFADeviceTags", in{"SerialNumber": phoneSerial + "x"}, "NoSuchEntity: VirtualMFADevice with serial number " + phoneSerial + "x doesn't exist."},
		{"TagMFADevice", in{"SerialNumber": "arn:aws:iam::210987654321:mfa/phone", "Tags": tags("a", "1")}, "NoSuchEntity: VirtualMFADevice with serial number arn:aws:iam::210987654321:mfa/phone doesn't exist."},
	})
}

// The seed is shown once, as text and as a picture, and is nowhere else.
func TestSeedOfMFADevice(t *testing.T) {
	fipstest.SkipPhones(t)
	s := coffertest.Start(t)
	r := s.MustQuery("iam", "CreateVirtualMFADevice", in{"VirtualMFADeviceName": "phone"})
	seed, err := base64.StdEncoding.DecodeString(r.Text("Base32StringSeed"))
	if err != nil || !regexp.MustCompile(`^[A-Z2-7]{64}$`).Match(seed) {
		t.Errorf("the seed is %q, error %v", seed, err)
	}
	picture, err := base64.StdEncoding.DecodeString(r.Text("QRCodePNG"))
	if err != nil {
		t.Fatal(err)
	}
	if image, err := png.Decode(bytes.NewReader(picture)); err != nil || image.Bounds().Dx() < 100 {
		t.Errorf("the picture: error %v", err)
	}
	for _, record := range s.Trail() {
		if strings.Contains(record.Text, string(seed)) || strings.Contains(record.Text, r.Text("Base32StringSeed")) || strings.Contains(record.Text, r.Text("QRCodePNG")) {
			t.Errorf("the trail tells it: %s", record.Text)
		}
		if record.EventName == "CreateVirtualMFADevice" && (record.ResponseElements["virtualMFADevice"].(map[string]any)["serialNumber"] != phoneSerial ||
			record.RequestParameters["virtualMFADeviceName"] != "phone") {
			t.Errorf("the record: %s", record.Text)
		}
	}
}

// Users look after their own devices by the policy of AWS's documentation.
func TestUsersLookAfterTheirDevices(t *testing.T) {
	clock := coffertest.NewClock()
	s := coffertest.Start(t, coffertest.Clock(clock.Now))
	run(t, s, []call{{"CreateUser", in{"UserName": "ann"}, ""}, {"CreateUser", in{"UserName": "bob"}, ""},
		{"PutUserPolicy", in{"UserName": "ann", "PolicyName": "p", "PolicyDocument": `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":"iam:CreateVirtualMFADevice","Resource":"arn:aws:iam::*:mfa/*"},
			{"Effect":"Allow","Action":["iam:DeactivateMFADevice","iam:EnableMFADevice","iam:ListMFADevices","iam:ResyncMFADevice"],"Resource":"arn:aws:iam::*:user/${aws:username}"},
			{"Effect":"Deny","NotAction":["iam:CreateVirtualMFADevice","iam:EnableMFADevice","iam:ListMFADevices","sts:GetSessionToken"],"Resource":"*",
				"Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}]}`}, ""}})
	ann := as(s, "ann")
	phone := ann.EnablePhone("ann", "anns-phone")
	clock.Advance(30 * time.Second)
	deactivate := in{"UserName": "ann", "SerialNumber": phone.Serial}
	if r := ann.Query("iam", "DeactivateMFADevice", deactivate); r.Status != http.StatusForbidden {
		t.Errorf("without a second factor: status %d: %s", r.Status, r.Body)
	}
	proved := s.As(ann.MustQuery("sts", "GetSessionToken", in{"SerialNumber": phone.Serial, "TokenCode": phone.Code(0)}).KeyOf())
	if r := proved.Query("iam", "ListMFADevices", in{"UserName": "bob"}); r.Status != http.StatusForbidden {
		t.Errorf("another's devices: status %d: %s", r.Status, r.Body)
	}
	if serials := proved.MustQuery("iam", "ListMFADevices", nil).Texts("SerialNumber"); len(serials) != 1 || serials[0] != phone.Serial {
		t.Errorf("her devices are %q", serials)
	}
	proved.MustQuery("iam", "DeactivateMFADevice", deactivate)
}
