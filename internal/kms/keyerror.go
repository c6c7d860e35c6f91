package kms

import "fmt"

// Error is a refusal of the keys that a client is told: a code of KMS with its sentence, which may be empty.
type Error struct{ Code, Message string }

// Error returns code and message.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// The codes of refusals.
const (
	CodeAlreadyExists         = "AlreadyExistsException"
	CodeConflict              = "ConflictException"
	CodeDisabled              = "DisabledException"
	CodeDryRun                = "DryRunOperationException"
	CodeExpiredImportToken    = "ExpiredImportTokenException"
	CodeIncorrectKey          = "IncorrectKeyException"
	CodeIncorrectKeyMaterial  = "IncorrectKeyMaterialException"
	CodeInvalidArn            = "InvalidArnException"
	CodeInvalidCiphertext     = "InvalidCiphertextException"
	CodeInvalidGrantID        = "InvalidGrantIdException"
	CodeInvalidGrantToken     = "InvalidGrantTokenException"
	CodeInvalidImportToken    = "InvalidImportTokenException"
	CodeInvalidKeyUsage       = "InvalidKeyUsageException"
	CodeInvalidMac            = "KMSInvalidMacException"
	CodeInvalidMarker         = "InvalidMarkerException"
	CodeInvalidSignature      = "KMSInvalidSignatureException"
	CodeInvalidState          = "KMSInvalidStateException"
	CodeKeyUnavailable        = "KeyUnavailableException"
	CodeLimitExceeded         = "LimitExceededException"
	CodeMalformedPolicy       = "MalformedPolicyDocumentException"
	CodeNotAuthorized         = "NotAuthorizedException"
	CodeNotFound              = "NotFoundException"
	CodeTag                   = "TagException"
	CodeUnsupportedOperation  = "UnsupportedOperationException"
	CodeValidation            = "ValidationException"
	CodeInvalidAliasNameError = "InvalidAliasNameException"
)

// Errorf makes a refusal.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// NoSuchKey is the refusal of what concerns a key that does not exist.
func NoSuchKey(arn string) *Error { return Errorf(CodeNotFound, "Key '%s' does not exist", arn) }
