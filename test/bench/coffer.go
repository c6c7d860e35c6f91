package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The account's root access key while it is measured: the examples of the AWS documentation.
const (
	exampleKeyID  = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	region        = "us-east-1"
)

// coffer is the registry of this module, with authorisation, audit, encryption and fsync on, as it comes. Only two
// quotas of ECR are raised, which the measures exceed.
type coffer struct {
	binary string
	more   []string // more of the command line
	admin  string   // where metrics are served; nowhere if empty
}

func (coffer) name() string { return "Coffer" }

func (s coffer) command(dir, addr string) (*exec.Cmd, error) {
	config := filepath.Join(filepath.Dir(dir), "coffer.json")
	const text = `{"limits": {"tags-per-image": 200000, "images-per-repository": 1000000}}` + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(s.binary, "serve", "--data", dir, "--listen", addr, "--admin-listen", s.admin, "--config", config)
	cmd.Args = append(cmd.Args, s.more...)
	own := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "COFFER_") })
	cmd.Env = append(own, "COFFER_ROOT_ACCESS_KEY_ID="+exampleKeyID, "COFFER_ROOT_SECRET_ACCESS_KEY="+exampleSecret)
	return cmd, nil
}

func (s coffer) login(ctx context.Context, addr string) (string, error) {
	var out struct {
		AuthorizationData []struct{ AuthorizationToken string }
	}
	if err := s.call(ctx, addr, "GetAuthorizationToken", struct{}{}, &out); err != nil {
		return "", err
	}
	if len(out.AuthorizationData) != 1 {
		return "", fmt.Errorf("GetAuthorizationToken returned %d tokens", len(out.AuthorizationData))
	}
	return "Basic " + out.AuthorizationData[0].AuthorizationToken, nil
}

func (s coffer) createRepository(ctx context.Context, addr, repository string) error {
	return s.call(ctx, addr, "CreateRepository", map[string]string{"repositoryName": repository}, nil)
}

// seedTags puts the image under each tag, as a client does.
func (coffer) seedTags(ctx context.Context, h *host, repository string, image []byte, tags []string) error {
	_, err := h.run(ctx, job{clients: 32, ops: len(tags), unrecorded: true, do: func(c *conn, i int) error {
		return c.pushManifest(repository, tags[i], image)
	}})
	return err
}

// page is one answer of DescribeImages.
type page struct {
	ImageDetails []struct{ ImageDigest string }
	NextToken    string
}

// describeImages asks for one page of a repository's images.
func (s coffer) describeImages(ctx context.Context, addr, repository, token string, limit int) (page, error) {
	in := map[string]any{"repositoryName": repository, "maxResults": limit}
	if token != "" {
		in["nextToken"] = token
	}
	var out page
	err := s.call(ctx, addr, "DescribeImages", in, &out)
	return out, err
}

// call makes one signed request to the ECR API.
func (coffer) call(ctx context.Context, addr, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+addr+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921."+operation)
	signer{exampleKeyID, exampleSecret, region, "ecr"}.sign(req, body, time.Now())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, keepLimit))
	if err != nil {
		return fmt.Errorf("reading the answer to %s: %w", operation, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", operation, resp.StatusCode, answer[:min(len(answer), 500)])
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("decoding the answer to %s: %w", operation, err)
	}
	return nil
}
