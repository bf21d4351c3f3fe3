//! The reef that owns a database. Checked with the lease, so that two reefs cannot both find it free.

use super::fault::Fault;
use super::insert::insert;
use super::rows::{texts, versions};
use super::server::Server;
use super::session::Session;
use crate::columns::times;
use serde::Deserialize;

#[derive(clickhouse::Row, Deserialize)]
struct OwnerAnswer {
    reef_id: String,
}

/// Refuses the store of another reef; says whether it is this one's.
pub(super) async fn check(server: &Server) -> Result<bool, Fault> {
    let Some(reef_id) = &server.config.reef_id else { return Ok(true) };
    let sql = "SELECT reef_id FROM store_owner FINAL ORDER BY since, reef_id";
    let owners = server.rows::<OwnerAnswer>(server.query(sql)).await?;
    match owners.first() {
        None => Ok(false),
        Some(_) if owners.iter().any(|owner| owner.reef_id == *reef_id) => Ok(true),
        Some(OwnerAnswer { reef_id: owner }) => {
            let hint = "check storage.connection.database and reef_id: each reef needs its own database";
            Err(Fault::stop(hint, format!("the store belongs to the reef {owner:?}, this is the reef {reef_id:?}")))
        }
    }
}

/// The same, and records the owner of a new database.
pub(super) async fn claim(session: &mut Session) -> Result<(), Fault> {
    if check(&session.server).await? {
        return Ok(());
    }
    let Some(reef_id) = session.server.config.reef_id.clone() else { return Ok(()) };
    let (version, now) = (session.next_version(), session.server.config.clock.now());
    insert(session, "store_owner", &[reef_id], |rows| {
        let mut columns = vec![("reef_id", texts(rows, |reef_id| reef_id)), ("since", times(rows.iter().map(|_| now)))];
        columns.extend(versions(rows.iter().map(|_| (version, false))));
        columns
    })
    .await
}
