//! Flags that narrow a question to colonies, or to a part of a list.

use reef::answers::fleet::Filter;
use reef::answers::part::Part;

/// Whose answers are wanted.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FilterArgs {
    /// Only this environment
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// Only this application
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Only this service
    #[arg(long, value_name = "ID")]
    service: Option<String>,
    /// Only this colony; repeat for more
    #[arg(long, value_name = "ID")]
    colony: Vec<String>,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PartArgs {
    /// Most items [default: 20; at most 200]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Where the part begins: next_cursor of the part before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl FilterArgs {
    pub fn filter(&self) -> Filter {
        Filter {
            colonies: self.colony.clone(),
            environment: self.environment.clone(),
            application: self.app.clone(),
            service: self.service.clone(),
            ..Filter::default()
        }
    }
}

impl PartArgs {
    pub fn part(&self) -> Part {
        Part { limit: self.limit, cursor: self.cursor.clone(), skip: 0 }
    }
}
