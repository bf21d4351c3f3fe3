//! The colony's insights about its services, stored until a user resolves or dismisses them.

use super::Store;
use super::write::json;
use crate::error::StoreError;
use duckdb::params;
use model::time::TimeMs;
use std::collections::BTreeMap;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// As stored.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// The value of that name.
            pub fn parse(text: &str) -> Option<$name> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

named! {
    /// What kind of finding it is.
    InsightKind {
        /// Something unusual.
        Anomaly = "anomaly",
        /// A recurring pattern.
        Pattern = "pattern",
        /// Something to do.
        Recommendation = "recommendation",
    }
}

named! {
    /// Its urgency.
    Priority {
        /// Now.
        High = "high",
        /// Soon.
        Medium = "medium",
        /// Some time.
        Low = "low",
    }
}

named! {
    /// What became of it.
    InsightStatus {
        /// Open.
        Active = "active",
        /// Not wanted.
        Dismissed = "dismissed",
        /// Done.
        Resolved = "resolved",
    }
}

/// One row of `insights`.
#[derive(Clone, Debug, PartialEq)]
pub struct Insight {
    /// When it was found.
    pub created_at: TimeMs,
    /// Kind.
    pub kind: InsightKind,
    /// Priority.
    pub priority: Priority,
    /// One line.
    pub title: String,
    /// A few lines.
    pub summary: String,
    /// Its evidence.
    pub details: BTreeMap<String, String>,
    /// Services it is about.
    pub affected_services: Vec<String>,
    /// 0 to 1.
    pub confidence: Option<f64>,
    /// After this it is no longer shown.
    pub expires_at: Option<TimeMs>,
}

impl Store {
    /// Stores an open insight; gives its id.
    pub async fn insert_insight(&self, insight: Insight) -> Result<i64, StoreError> {
        self.write("store an insight", move |tx| {
            tx.query_row(
                "INSERT INTO insights (created_at, insight_type, priority, title, summary, details, affected_services,
                     status, confidence, expires_at)
                 VALUES (epoch_ms(?), ?, ?, ?, ?, ?, ?, 'active', ?, epoch_ms(?)) RETURNING id",
                params![
                    insight.created_at.0,
                    insight.kind.as_str(),
                    insight.priority.as_str(),
                    insight.title,
                    insight.summary,
                    json(&insight.details)?,
                    json(&insight.affected_services)?,
                    insight.confidence,
                    insight.expires_at.map(|t| t.0)
                ],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Sets what became of an insight at the time `now`; `false` when there is none with that id.
    pub async fn set_insight_status(&self, id: i64, status: InsightStatus, now: TimeMs) -> Result<bool, StoreError> {
        let resolved_at = (status == InsightStatus::Resolved).then_some(now.0);
        self.write("change an insight", move |tx| {
            let changed = tx.execute(
                "UPDATE insights SET status = ?, resolved_at = epoch_ms(?) WHERE id = ?",
                params![status.as_str(), resolved_at, id],
            )?;
            Ok(changed > 0)
        })
        .await
    }

    /// Open insights that have not expired at the time `now`, with their ids, newest first.
    pub async fn active_insights(&self, now: TimeMs) -> Result<Vec<(i64, Insight)>, StoreError> {
        self.read("read insights", move |tx| {
            let mut statement = tx.prepare(
                "SELECT id, epoch_ms(created_at), insight_type, priority, title, summary, details, affected_services,
                        confidence, epoch_ms(expires_at)
                 FROM insights WHERE status = 'active' AND coalesce(expires_at > epoch_ms(?), true)
                 ORDER BY created_at DESC, id DESC",
            )?;
            let rows = statement.query_map(params![now.0], |row| {
                let kind: String = row.get(2)?;
                let priority: String = row.get(3)?;
                let details: Option<String> = row.get(6)?;
                let services: Option<String> = row.get(7)?;
                let insight = Insight {
                    created_at: TimeMs(row.get(1)?),
                    // values of other writers: shown rather than hidden
                    kind: InsightKind::parse(&kind).unwrap_or(InsightKind::Anomaly),
                    priority: Priority::parse(&priority).unwrap_or(Priority::High),
                    title: row.get(4)?,
                    summary: row.get(5)?,
                    details: details.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
                    affected_services: services.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
                    confidence: row.get(8)?,
                    expires_at: row.get::<_, Option<i64>>(9)?.map(TimeMs),
                };
                Ok((row.get(0)?, insight))
            })?;
            rows.collect()
        })
        .await
    }
}
