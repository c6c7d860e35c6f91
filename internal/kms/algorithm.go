package kms

// The algorithms of encryption.
const (
	AlgorithmSymmetric = "SYMMETRIC_DEFAULT"
	AlgorithmOAEP      = "RSAES_OAEP_SHA_256"
)

// algorithms are those of keys, by their spec and what they are for.
var algorithms = map[string]map[string][]string{
	SpecSymmetric:     {UsageEncrypt: {AlgorithmSymmetric}},
	"RSA_2048":        rsaAlgorithms,
	"RSA_3072":        rsaAlgorithms,
	"RSA_4096":        rsaAlgorithms,
	"ECC_NIST_P256":   {UsageSign: {"ECDSA_SHA_256"}},
	"ECC_NIST_P384":   {UsageSign: {"ECDSA_SHA_384"}},
	"ECC_NIST_P521":   {UsageSign: {"ECDSA_SHA_512"}},
	"ECC_SECG_P256K1": {UsageSign: {"ECDSA_SHA_256"}},

	"ECC_NIST_EDWARDS25519": {UsageSign: {"ED25519_PH_SHA_512", "ED25519_SHA_512"}},

	"HMAC_224": {UsageMac: {"HMAC_SHA_224"}},
	"HMAC_256": {UsageMac: {"HMAC_SHA_256"}},
	"HMAC_384": {UsageMac: {"HMAC_SHA_384"}},
	"HMAC_512": {UsageMac: {"HMAC_SHA_512"}},
}

// rsaAlgorithms leave out RSAES_OAEP_SHA_1, whose hash is forbidden.
var rsaAlgorithms = map[string][]string{
	UsageEncrypt: {AlgorithmOAEP},
	UsageSign: {"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512", "RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384",
		"RSASSA_PSS_SHA_512"},
}

// Algorithms are those that the key can be used with.
func (k Key) Algorithms() []string { return algorithms[k.Spec][k.Usage] }
