package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSign compares with what botocore makes of the same request.
func TestSign(t *testing.T) {
	const body = `{"repositoryNames": ["team/app"]}`
	req, err := http.NewRequest("POST", "https://aws.registry.test:8443/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")
	s := signer{"AKIAEXAMPLEACCESSKEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00", "eu-central-1", "ecr"}
	s.sign(req, []byte(body), time.Date(2026, 1, 15, 13, 30, 45, 0, time.FixedZone("", 3600)))
	const want = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLEACCESSKEY/20260115/eu-central-1/ecr/aws4_request, " +
		"SignedHeaders=content-type;host;x-amz-date;x-amz-target, " +
		"Signature=c7ca24d26790c6c72fcb9034f60b04e767a2f3370faaf48e3da3b3901bfb1742"
	if got := req.Header.Get("Authorization"); got != want {
		t.Errorf("Authorization: %s\nwant %s", got, want)
	}
	if got := req.Header.Get("X-Amz-Date"); got != "20260115T123045Z" {
		t.Errorf("X-Amz-Date: %s", got)
	}
}
