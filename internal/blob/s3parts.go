package blob

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

const (
	// smallestPart is the least that servers take for a part that is not the last.
	smallestPart = 5 << 20
	// partsOfASize is how many parts have the same size before the next are 1 MiB larger. The first 5,000 MiB are in equal
	// parts, and 10,000 parts hold more than 90 GiB.
	partsOfASize = 1000
	maxParts     = 10_000
)

// partSize is the size of a part that is not the last, in bytes; parts are counted from 1. States depend on it: another
// rule needs another version of the state.
func partSize(n int) int { return smallestPart + (n-1)/partsOfASize<<20 }

// partsSize is how many bytes the first n parts hold.
func partsSize(n int) int64 {
	full, rest := int64(n/partsOfASize), int64(n%partsOfASize)
	const mib = 1 << 20
	return int64(n)*smallestPart + partsOfASize*mib*full*(full-1)/2 + rest*full*mib
}

// s3Part is a part that the server has.
type s3Part struct {
	etag string
	// sum is the checksum of its bytes, as checksum gives it; it is empty if the upload was begun without.
	sum string
}

// checksum is the CRC32C of bytes in the form of S3's requests: base64 of its four bytes, the highest first.
func checksum(p []byte) string {
	sum := crc32.Checksum(p, castagnoli)
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// etagChain is a digest of the etags of an upload's parts, by which a state knows them.
type etagChain [sha256.Size]byte

func (c etagChain) add(etag string) etagChain {
	return sha256.Sum256(append(c[:], etag...))
}

func chainOf(parts []s3Part) (c etagChain) {
	for _, part := range parts {
		c = c.add(part.etag)
	}
	return c
}
