//! Apps that come from a database.

use super::declare::{Counter, Gauge, metrics};

metrics! {
    /// The numbers of the database that apps come from.
    pub struct DatabaseMetrics {
        /// Whether the database of apps could be read when it was last tried (1) or not (0).
        up: Gauge = "fanfare_apps_database_up",
        /// Apps of the database.
        apps: Gauge = "fanfare_apps_database_apps",
        /// Rows of the database that are no apps as they are: the log has what is wrong with them.
        rows_refused: Gauge = "fanfare_apps_database_rows_refused",
        /// When the database of apps was last found to be as it is known, in seconds since 1970.
        last_read: Gauge = "fanfare_apps_database_last_read_seconds",
        /// Times that the database of apps was asked whether anything is new.
        looks: Counter = "fanfare_apps_database_looks_total",
        /// Times that all rows of the database of apps were read.
        reads: Counter = "fanfare_apps_database_reads_total",
        /// Times that the database of apps could not be read.
        failures: Counter = "fanfare_apps_database_failures_total",
    }
}
