//! Opens a database: to write (lease, migrations, TTLs, owner), or to read.

use super::config::ClickHouseConfig;
use super::fault::Fault;
use super::lease::Lease;
use super::memory::Memory;
use super::server::Server;
use super::session::Session;
use super::{derived, owner, retention, version};
use migrations::{CLICKHOUSE, CLICKHOUSE_SCHEMA_VERSION_TABLE, CLICKHOUSE_WRITERS_TABLE, Migration, pending};

/// Connects, acquires the lease, migrates the schema, and sets the TTLs.
pub(super) async fn to_write(config: ClickHouseConfig) -> Result<Session, Fault> {
    let server = Server::connect(config).await?;
    // a store of a newer program is not changed, and one of another reef is released
    if missing_steps(&server).await?.is_empty() {
        owner::check(&server).await?;
    }
    server.create(CLICKHOUSE_WRITERS_TABLE).await?;
    let lease = Lease::acquire(&server).await?;
    migrate(&server).await?;
    derived::migrate(&server).await?;
    if let Some(retention) = server.config.retention {
        retention::apply(&server, retention).await?;
    }
    let memory = Memory::load(&server).await?;
    let mut session = Session::new(server, lease, memory);
    owner::claim(&mut session).await?;
    Ok(session)
}

/// Connects and checks the schema; migrates nothing and leaves TTLs unchanged.
pub(super) async fn to_read(config: ClickHouseConfig) -> Result<Server, Fault> {
    let server = Server::connect(config).await?;
    if let Some(first) = missing_steps(&server).await?.first() {
        let cause = format!("it has tables of version {}", first.version - 1);
        return Err(Fault::stop("upgrade it to this version first: coral-pipeline migrate", cause));
    }
    if !derived::is_current(&server).await? {
        let cause = "it lacks tables of this version";
        return Err(Fault::stop("upgrade it to this version first: coral-pipeline migrate", cause));
    }
    owner::check(&server).await?;
    Ok(server)
}

async fn missing_steps(server: &Server) -> Result<&'static [Migration], Fault> {
    let stored = version::read(server).await?.unwrap_or(0);
    pending(CLICKHOUSE, stored).map_err(|error| Fault::stop("a newer program wrote the database", Box::new(error)))
}

/// Applies the missing steps. Each statement can be repeated; the row in `schema_version` comes last.
async fn migrate(server: &Server) -> Result<(), Fault> {
    let steps = missing_steps(server).await?;
    if steps.is_empty() {
        return Ok(());
    }
    server.create(CLICKHOUSE_SCHEMA_VERSION_TABLE).await?;
    for step in steps {
        apply(server, step).await?;
    }
    Ok(())
}

async fn apply(server: &Server, step: &Migration) -> Result<(), Fault> {
    server.create(step.sql).await?;
    let sql = "INSERT INTO schema_version SELECT {version:UInt32}, fromUnixTimestamp64Milli({now:Int64}, 'UTC')";
    let query = server.query(sql).param("version", step.version).param("now", server.config.clock.now().0);
    server.execute(query).await?;
    tracing::debug!(version = step.version, name = step.name, "schema step applied");
    Ok(())
}
