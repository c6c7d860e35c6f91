package registry

import (
	"strconv"
	"strings"

	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/oci"
	"github.com/coffer-registry/coffer/internal/store"
)

// The topics of what is remembered, by how they begin: of an account, whose policies, settings or tags of repositories change, or
// which repositories it has; of a repository's row, by account, region and name; and of what a repository holds, by its row's id and
// a name or digest.
const (
	topicAccount    = "registry/"
	topicRepository = "repository/"
	topicTag        = "tag/"
	topicManifest   = "manifest/"
	topicLayer      = "layer/"
)

// changed notes in the transaction that what is attached to repositories of an account changes.
func changed(tx *store.Tx, account string) error { return tx.Touch(topicAccount + account) }

func touchRepository(tx *store.Tx, id ID, name string) {
	_ = tx.Touch(topicRepository + id.Account + "/" + id.Region + "/" + name)
}

func touchTag(tx *store.Tx, repository int64, tag string) {
	_ = tx.Touch(topicTag + strconv.FormatInt(repository, 10) + "/" + tag)
}

func touchManifest(tx *store.Tx, repository int64, digest oci.Digest) {
	_ = tx.Touch(topicManifest + strconv.FormatInt(repository, 10) + "/" + string(digest))
}

func touchLayer(tx *store.Tx, repository int64, digest oci.Digest) {
	_ = tx.Touch(topicLayer + strconv.FormatInt(repository, 10) + "/" + string(digest))
}

// heard drops what a topic stands for.
func (r *Registry) heard(topic string) {
	if topic == store.Everything {
		r.forgetAll()
		return
	}
	if key, ok := kms.ChangedKey(topic); ok {
		r.open.epochs.end(key)
		r.open.changes.Add(1)
	}
	kind, rest, _ := strings.Cut(topic, "/")
	switch kind + "/" {
	case topicAccount:
		r.epochs.end(rest)
	case topicRepository:
		account, rest, _ := strings.Cut(rest, "/")
		region, name, _ := strings.Cut(rest, "/")
		r.repositories.Drop(repositoryKey{ID{account, region}, name})
	case topicTag, topicManifest, topicLayer:
		number, name, _ := strings.Cut(rest, "/")
		repository, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return // not one of ours
		}
		r.forgetOf(kind+"/", repository, name)
	}
}

func (r *Registry) forgetOf(kind string, repository int64, name string) {
	switch kind {
	case topicTag:
		r.tags.Drop(tagKey{repository, name})
	case topicManifest:
		r.manifests.Drop(imageKey{repository, oci.Digest(name)})
	case topicLayer:
		r.layers.Drop(imageKey{repository, oci.Digest(name)})
	}
}

// forgetAll drops all that is remembered.
func (r *Registry) forgetAll() {
	r.epochs.endAll()
	r.open.epochs.endAll()
	r.open.changes.Add(1)
	r.repositories.Clear()
	r.tags.Clear()
	r.manifests.Clear()
	r.layers.Clear()
}
