//! Ids that a shell offers: of the colonies and reefs that this user has.

use super::choice::HERE;
use super::known::{self, KnownReef};
use crate::completions::Ids;
use colony::config::Places;
use std::collections::BTreeSet;
use std::path::Path;

/// Those of this user. A shell shows no errors, so that there is none.
pub fn of_user(wanted: Ids) -> Vec<String> {
    let Ok(places) = Places::of_process() else { return Vec::new() };
    match wanted {
        Ids::Colonies => colonies(&places),
        Ids::Reefs => reefs(&places),
    }
}

fn reefs(places: &Places) -> Vec<String> {
    known::all(places).into_iter().map(|reef| reef.reef_id).collect()
}

/// Those that are here, and those that a reef reads.
fn colonies(places: &Places) -> Vec<String> {
    let here = Path::new(HERE);
    let here = here.is_file().then(|| KnownReef::read(here));
    let reefs = known::all(places).into_iter().chain(here);
    let read = reefs.filter_map(|reef| reef.config.ok()).flat_map(|config| config.colonies);
    // a folder that cannot be read has none to offer
    let own = places.colony_ids().unwrap_or_default();
    let ids: BTreeSet<String> = read.map(|colony| colony.colony_id).chain(own).collect();
    ids.into_iter().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn colonies_of_reefs_and_of_this_machine_are_offered_once() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let places = Places { home: home.clone(), project: folder.path().to_owned(), storage_path: None };
        assert_eq!((colonies(&places), reefs(&places)), (Vec::new(), Vec::new()));
        std::fs::create_dir_all(home.join("reefs")).unwrap();
        std::fs::create_dir_all(home.join("colonies")).unwrap();
        for (id, read) in [("one", &["shop", "cart"][..]), ("two", &["shop"])] {
            let colony = |id: &&str| format!("  - {{colony_id: {id}, endpoint: 'http://127.0.0.1:1'}}\n");
            let text = format!("reef_id: {id}\ncolonies:\n{}", read.iter().map(colony).collect::<String>());
            std::fs::write(home.join("reefs").join(format!("{id}.yaml")), text).unwrap();
        }
        std::fs::write(home.join("reefs/broken.yaml"), "reef_id: broken\ncolonies: 3\n").unwrap();
        for id in ["mine", "shop"] {
            std::fs::write(home.join("colonies").join(format!("{id}.yaml")), "").unwrap();
        }
        assert_eq!(colonies(&places), ["cart", "mine", "shop"]);
        assert_eq!(reefs(&places), ["broken", "one", "two"]);
    }
}
