package identity

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrMessageInvalid means that an authorization message was not made here, was altered, or is for another account.
var ErrMessageInvalid = errors.New("the authorization message was not made here, was altered or is for another account")

// authorizationMessage is the plain text of an encoded authorization message.
type authorizationMessage struct {
	Account string          `json:"c"`
	Message json.RawMessage `json:"m"`
}

// EncodeMessage seals what is to be told of a denial, a JSON text, to those of an account who may decode it.
func (d *Directory) EncodeMessage(account string, message []byte) (string, error) {
	text, err := json.Marshal(authorizationMessage{account, message})
	if err != nil {
		return "", fmt.Errorf("encode an authorization message: %w", err)
	}
	return d.sealText(useMessage, text)
}

// DecodeMessage opens what EncodeMessage sealed for the account. The error is ErrMessageInvalid.
func (d *Directory) DecodeMessage(account, encoded string) (message []byte, err error) {
	text, err := d.openText(useMessage, encoded)
	var m authorizationMessage
	if err != nil || json.Unmarshal(text, &m) != nil || m.Account != account {
		return nil, ErrMessageInvalid
	}
	return m.Message, nil
}
