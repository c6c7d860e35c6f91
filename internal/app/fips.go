package app

import (
	"crypto/fips140"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// FIPS says by which cryptographic module this process computes, and how strictly. It is fixed when the process starts.
type FIPS struct {
	// Enabled is whether the module tests itself and TLS is restricted to what FIPS 140-3 approves.
	Enabled bool `json:"enabled"`
	// Module is the version of Go's cryptographic module, such as "v1.0.0". "latest" is that of the Go toolchain, which
	// is not a frozen one and was never submitted for validation.
	Module string `json:"module"`
	// Enforced is whether what FIPS 140-3 does not approve is refused.
	Enforced bool `json:"enforced"`
}

// FIPSOfProcess says it of this process.
func FIPSOfProcess() FIPS {
	return FIPS{Enabled: fips140.Enabled(), Module: fips140.Version(), Enforced: fips140.Enforced()}
}

// Mode is "off", "on" or "only", as GODEBUG=fips140 names it.
func (f FIPS) Mode() string {
	switch {
	case f.Enforced:
		return "only"
	case f.Enabled:
		return "on"
	}
	return "off"
}

// String is the module and the mode, such as "module v1.0.0, on".
func (f FIPS) String() string { return "module " + f.Module + ", " + f.Mode() }

// metric is 1 with everything in its labels.
func (f FIPS) metric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "coffer_fips140_info",
		Help:        "The FIPS 140-3 module that the process computes by, and whether it is enabled and enforced. Always 1.",
		ConstLabels: prometheus.Labels{"module": f.Module, "enabled": strconv.FormatBool(f.Enabled), "enforced": strconv.FormatBool(f.Enforced)},
	}, func() float64 { return 1 })
}

// health is what /healthz answers.
type health struct {
	Status string `json:"status"`
	FIPS   FIPS   `json:"fips140"`
}

// healthy answers that the process lives, and by which cryptographic module.
func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(health{"ok", FIPSOfProcess()})
}
