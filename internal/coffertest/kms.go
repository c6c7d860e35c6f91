package coffertest

// KMS calls an operation of KMS. in is encoded as JSON, unless it is a string, which is sent as it is.
func (s *Server) KMS(operation string, in any) Response {
	s.t.Helper()
	return s.json("kms", "TrentService."+operation, in)
}

// MustKMS calls an operation of KMS that must succeed, and decodes what it answers into out unless that is nil.
func (s *Server) MustKMS(operation string, in, out any) {
	s.t.Helper()
	s.decode(operation, s.KMS(operation, in), out)
}

// CreateKMSKey makes a key from an input, which may be nil, and returns its ARN.
func (s *Server) CreateKMSKey(in map[string]any) string {
	s.t.Helper()
	if in == nil {
		in = map[string]any{}
	}
	var out struct{ KeyMetadata struct{ Arn string } }
	s.MustKMS("CreateKey", in, &out)
	return out.KeyMetadata.Arn
}
