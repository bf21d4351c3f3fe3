//! Files: those of allowed folders, and no others.

use super::*;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A folder that is allowed, with links and files of other kinds, beside one that is not.
async fn folders(store: &Store, root: &Path) -> SqlEngine {
    let (allowed, secret) = (root.join("allowed"), root.join("secret"));
    for folder in [&allowed, &secret, &allowed.join("inner")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let table = ask(store, "SELECT event_id, timestamp FROM federated_events WHERE version = 1").await.unwrap().table;
    for path in [allowed.join("rows.parquet"), allowed.join("inner/more.parquet"), secret.join("hidden.parquet")] {
        table.write_parquet(std::fs::File::create(path).unwrap()).unwrap();
    }
    std::fs::copy(allowed.join("rows.parquet"), allowed.join("rows.bin")).unwrap();
    std::fs::write(allowed.join("broken.parquet"), "PAR1 and nothing else").unwrap();
    symlink(secret.join("hidden.parquet"), allowed.join("link.parquet")).unwrap();
    symlink(&secret, allowed.join("door")).unwrap();
    symlink(allowed.join("rows.parquet"), allowed.join("same.parquet")).unwrap();
    SqlEngine::default().with_files(vec![root.join("nowhere"), allowed])
}

async fn count(engine: &SqlEngine, store: &Store, name: &str) -> Result<serde_json::Value, SqlError> {
    let sql = format!("SELECT count(*) FROM files('{name}')");
    let answer =
        engine.answer(&SqlQuestion { sql, ..SqlQuestion::default() }, &store.reader, &Scope::default()).await?;
    Ok(json!(answer.table.json_rows()))
}

#[tokio::test]
async fn files_are_read_in_allowed_folders_only() {
    let (store, root) = (opened().await, tempfile::tempdir().unwrap());
    let engine = folders(&store, root.path()).await;
    for name in ["rows.parquet", "./rows.parquet", "inner/more.parquet", "inner/../rows.parquet", "same.parquet"] {
        assert_eq!(count(&engine, &store, name).await.unwrap(), json!([[8]]), "{name}");
    }
    let secret = root.path().join("secret/hidden.parquet").display().to_string();
    for name in [
        "../secret/hidden.parquet",
        "inner/../../secret/hidden.parquet",
        "link.parquet",
        "door/hidden.parquet",
        secret.as_str(),
        "/etc/passwd",
        "file:///etc/passwd",
        "http://example.com/rows.parquet",
        "rows.bin",
        "rows.parquet/",
        "rows.parquet\0",
        "none.parquet",
        "*.parquet",
        "inner",
        ".",
        "",
        "broken.parquet",
    ] {
        match count(&engine, &store, name).await {
            Err(error @ SqlError::Refused { .. }) => {
                let said = error.to_string();
                assert!(
                    name == secret || !said.contains(root.path().to_str().unwrap()),
                    "{name:?} says a path: {said}"
                );
            }
            other => panic!("{name:?}: {other:?}"),
        }
    }
    let closed = count(&SqlEngine::default(), &store, "rows.parquet").await;
    assert!(matches!(closed, Err(SqlError::Refused { .. })), "no file is read by default: {closed:?}");
}

#[tokio::test]
async fn a_file_is_joined_with_stored_rows() {
    let (store, root) = (opened().await, tempfile::tempdir().unwrap());
    let engine = folders(&store, root.path()).await;
    let sql = "SELECT f.event_id, e.timestamp = f.timestamp AS same FROM files('rows.parquet') AS f
               JOIN federated_events AS e ON e.event_id = f.event_id WHERE e.service_id = 'api' ORDER BY 1";
    let question = SqlQuestion { sql: sql.to_owned(), ..SqlQuestion::default() };
    let answer = engine.answer(&question, &store.reader, &Scope::default()).await.unwrap();
    assert_eq!(json!(answer.table.json_rows()), json!([["e0", true], ["e20", true]]));
    let tables: Vec<&str> = answer.reads.iter().map(|read| read.table.as_str()).collect();
    assert_eq!(tables, ["federated_events", "files('rows.parquet')"]);
    for sql in ["SELECT * FROM files()", "SELECT * FROM files('rows.parquet', 1)", "SELECT * FROM files(1 + 1)"] {
        let question = SqlQuestion { sql: sql.to_owned(), ..SqlQuestion::default() };
        let refused = engine.answer(&question, &store.reader, &Scope::default()).await;
        assert!(matches!(refused, Err(SqlError::Refused { .. })), "{sql}: {refused:?}");
    }
}
