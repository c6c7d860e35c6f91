package awsapi

import "net/http"

// Error is what a client is told when an operation fails.
type Error struct {
	// Code is the error's name, such as "RepositoryNotFoundException".
	Code string
	// Message is for people, although scripts match it. It may be empty.
	Message string
	// Status is the HTTP status; 0 stands for 400.
	Status int
	// Members are further members of the error's shape, such as lastValidByteReceived. Nil ones are left out. The query
	// protocol has no place for them.
	Members map[string]any
}

// Error returns code and message.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// status returns the HTTP status, which is never 0.
func (e *Error) status() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// Error makes an error that the model declares, with its code and status. Of a name that the model lacks it makes a client
// error with that code.
func (m *Model) Error(name, message string) *Error {
	shape, declared := m.Errors[name]
	if !declared {
		shape = ErrorShape{Code: name, Status: http.StatusBadRequest}
	}
	return &Error{Code: shape.Code, Message: message, Status: shape.Status}
}

// UnknownOperation is the answer to an operation that is not served. AWS says no more than the code; whoever comes with an
// operation that is not served yet wants to know which.
func UnknownOperation(name string) *Error {
	return &Error{Code: "UnknownOperationException", Status: http.StatusBadRequest,
		Message: "The operation " + shorten(name) + " is not available on this server."}
}

// InvalidAction is the answer to an action of the query protocol that is not served.
func InvalidAction(action, version string) *Error {
	if version == "" {
		version = "NO_VERSION_SPECIFIED"
	}
	return &Error{Code: "InvalidAction", Status: http.StatusBadRequest,
		Message: "Could not find operation " + shorten(action) + " for version " + shorten(version)}
}

// serialization says that a JSON body can't be understood.
func serialization(message string) *Error {
	return &Error{Code: "SerializationException", Message: message, Status: http.StatusBadRequest}
}

// malformedInput says that a form can't be understood.
func malformedInput(message string) *Error {
	return &Error{Code: "MalformedInput", Message: message, Status: http.StatusBadRequest}
}

// maxShown bounds how many bytes of what a client sent go back to it in a message.
const maxShown = 1024

// shorten cuts a text that is too long to be shown, between two characters.
func shorten(text string) string {
	if len(text) <= maxShown {
		return text
	}
	cut := 0
	for i := range text {
		if i > maxShown {
			break
		}
		cut = i
	}
	return text[:cut] + "..."
}
