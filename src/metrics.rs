//! Prometheus metrics under the names that upstream uses.
