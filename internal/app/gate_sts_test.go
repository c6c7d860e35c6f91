package app_test

var stsOperations = []asked{
	{"GetCallerIdentity", nil, nil},
}
