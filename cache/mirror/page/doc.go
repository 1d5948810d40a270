// Package page shows a mirror to people and to Prometheus: one page in HTML
// that works without JavaScript, counters over time, and /metrics.
//
// It refuses to change anything, to load anything from elsewhere, and to show
// what the mirror does not say of itself.
package page
