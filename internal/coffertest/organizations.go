package coffertest

// Organizations calls an operation of AWS Organizations. in is encoded as JSON, unless it is a string, which is sent as it
// is.
func (s *Server) Organizations(operation string, in any) Response {
	s.t.Helper()
	return s.json("organizations", "AWSOrganizationsV20161128."+operation, in)
}

// MustOrganizations calls an operation of AWS Organizations that must succeed, and decodes what it answers into out unless
// that is nil.
func (s *Server) MustOrganizations(operation string, in, out any) {
	s.t.Helper()
	s.decode(operation, s.Organizations(operation, in), out)
}

// CreateAccount makes an account of the organization and returns its id.
func (s *Server) CreateAccount(name string) string {
	s.t.Helper()
	var out struct {
		CreateAccountStatus struct{ AccountID, FailureReason string }
	}
	s.MustOrganizations("CreateAccount", map[string]string{"AccountName": name, "Email": name + "@example.com"}, &out)
	if out.CreateAccountStatus.AccountID == "" {
		s.t.Fatalf("account %s was not made: %s", name, out.CreateAccountStatus.FailureReason)
	}
	return out.CreateAccountStatus.AccountID
}

// InRegistry returns a client that asks for /v2/ under the host of an account's registry.
func (s *Server) InRegistry(account string) *Server {
	other := *s
	other.Server, other.Host = nil, account+".dkr.ecr."+Region+".example.com"
	return &other
}
