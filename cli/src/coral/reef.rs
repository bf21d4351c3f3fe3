//! `coral reef …`: a reef and its colonies, and questions about it, answered by the process that runs it or from its store.
//!
//! | file | owns |
//! |---|---|
//! | `init` | a new reef's file |
//! | `known` | the reefs of this user |
//! | `choice` | which reef a command is about |
//! | `ids` | ids that a shell offers |
//! | `broken` | a reef that runs while its file is wrong |
//! | `running` | a running reef as other processes see it |
//! | `status` | whether a reef runs, and how it is |
//! | `life` | a reef's process: started, stopped, given a new configuration |
//! | `list` | the list of reefs, and the current one |
//! | `add_colony` | a colony that is called, joined, and then written into the reef's file |
//! | `secret_input` | where a colony's secret comes from, and how the file refers to it |
//! | `config_show` | every option in force |
//! | `validate` | the configuration, its inputs and its store, checked |
//! | `trial` | settings tried on given events |
//! | `doctor` | everything that a reef needs, checked |
//! | `edit` | one more colony in a configuration's text |
//! | `ping` | whether the colonies of a reef answer and admit it |
//! | `analyze` | a question in words |
//! | `ask` | a question sent, its answer printed |
//! | `narrow` | flags that narrow a question to colonies, or to a part of a list |
//! | `predictions` | what is about to happen, and what became of earlier predictions |
//! | `affected` | which neighbours a deployment or an event affects |
//! | `gate` | whether a version may go to the next environment |
//! | `compare` | two environments side by side |
//! | `dashboard` | where the pages of a reef are |
//! | `deployment` | one deployment |
//! | `deployments` | the list of deployments |
//! | `health` | how the colonies are |
//! | `versions` | which version runs where |
//! | `topology` | services and calls |
//! | `correlation` | one pattern |
//! | `correlations` | the list of patterns |
//! | `sql` | a question in SQL |
//! | `mcp` | tools for a program with a language model, on standard input and output |
//! | `token` | tokens for callers of the services |

mod add_colony;
mod affected;
pub mod analyze;
mod ask;
mod broken;
mod choice;
mod compare;
mod config_show;
mod correlation;
mod correlations;
mod dashboard;
mod deployment;
mod deployments;
mod doctor;
mod edit;
mod gate;
mod health;
pub mod ids;
mod init;
mod known;
mod life;
mod list;
mod mcp;
mod narrow;
mod ping;
mod predictions;
mod running;
mod secret_input;
mod sql;
mod status;
#[cfg(test)]
mod tests;
mod token;
mod topology;
mod trial;
mod validate;
mod versions;

use crate::exit::Failure;
use crate::output::Output;
use colony::config::Places;

/// Commands of a reef.
#[derive(Debug, clap::Subcommand)]
pub enum ReefCommand {
    /// Write the configuration of a new reef
    Init(init::InitArgs),
    /// List reefs, whether they run, and which one is current
    List(list::ListArgs),
    /// Make a reef the current one, or show it
    #[command(alias = "current")]
    Use(list::UseArgs),
    /// Run a reef, in the foreground or in the background
    Start(life::start::StartArgs),
    /// Stop a running reef: it drains, commits and ends
    Stop(life::stop::StopArgs),
    /// Let a running reef read its configuration again
    Reload(life::reload::ReloadArgs),
    /// Show whether a reef runs, its colonies, and what was found last
    Status(status::StatusArgs),
    /// Say where the dashboard of a running reef is, or open it
    Dashboard(dashboard::DashboardArgs),
    /// Show the configuration in force
    #[command(subcommand, before_help = "Example:  coral reef config show")]
    Config(config_show::ConfigCommand),
    /// Check the configuration, its inputs and store, without running
    Validate(validate::ValidateArgs),
    /// Try settings on given events: which patterns must be found
    Test(trial::TestArgs),
    /// Check everything that a reef needs, and say what to do
    Doctor(doctor::DoctorArgs),
    /// Join a colony's mesh and write the colony into the reef's file
    AddColony(Box<add_colony::AddColonyArgs>),
    /// Call the colonies of a reef: whether and how fast they answer
    Ping(ping::PingArgs),
    /// Compare the metrics of two environments
    Compare(compare::CompareArgs),
    /// Show one deployment and what followed it
    Deployment(deployment::DeploymentArgs),
    /// List deployments, the newest or the worst first
    Deployments(deployments::DeploymentsArgs),
    /// Answer a question in words from what the engine found
    Analyze(analyze::AnalyzeArgs),
    /// Show which neighbours a deployment or an event affects
    Affected(affected::AffectedArgs),
    /// Say whether a version may go to the next environment
    Gate(gate::GateArgs),
    /// Show how colonies and environments are
    Health(health::HealthArgs),
    /// Show which version runs where, and which are behind
    Versions(versions::VersionsArgs),
    /// Show services and the calls between them
    Topology(topology::TopologyArgs),
    /// List patterns, best first
    Correlations(correlations::CorrelationsArgs),
    /// Show one pattern and the rows behind it
    Correlation(correlation::CorrelationArgs),
    /// Show what patterns expect next, and how often they were right
    Predictions(predictions::PredictionsArgs),
    /// Answer one SELECT over the reef's tables
    Sql(sql::SqlArgs),
    /// Serve tools to an MCP client on standard input and output
    Mcp(mcp::McpArgs),
    /// Make, list and revoke tokens for callers of the services
    #[command(subcommand, before_help = "Example:  coral reef token list")]
    Token(token::TokenCommand),
}

/// Runs one of them.
pub fn run(command: ReefCommand, output: &Output) -> Result<(), Failure> {
    let places = Places::of_process().map_err(|error| super::colony::failure::config(&error))?;
    match command {
        ReefCommand::Init(args) => init::run(&args, &places, output),
        ReefCommand::List(args) => list::list(&args, &places, output),
        ReefCommand::Use(args) => list::use_reef(&args, &places, output),
        ReefCommand::Start(args) => life::start::run(&args, &places, output),
        ReefCommand::Stop(args) => life::stop::run(&args, &places, output),
        ReefCommand::Reload(args) => life::reload::run(&args, &places, output),
        ReefCommand::Status(args) => status::run(&args, &places, output),
        ReefCommand::Dashboard(args) => dashboard::run(&args, &places, output),
        ReefCommand::Config(command) => config_show::run(command, &places, output),
        ReefCommand::Validate(args) => validate::run(&args, &places, output),
        ReefCommand::Test(args) => trial::run(&args, output),
        ReefCommand::Doctor(args) => doctor::run(&args, &places, output),
        ReefCommand::AddColony(args) => add_colony::run(&args, &places, output),
        ReefCommand::Ping(args) => ping::run(&args, &places, output),
        ReefCommand::Compare(args) => compare::run(&args, output),
        ReefCommand::Deployment(args) => deployment::run(&args, output),
        ReefCommand::Deployments(args) => deployments::run(&args, output),
        ReefCommand::Analyze(args) => analyze::run(&args, output),
        ReefCommand::Affected(args) => affected::run(&args, output),
        ReefCommand::Gate(args) => gate::run(&args, output),
        ReefCommand::Health(args) => health::run(&args, output),
        ReefCommand::Versions(args) => versions::run(&args, output),
        ReefCommand::Topology(args) => topology::run(&args, output),
        ReefCommand::Correlations(args) => correlations::run(&args, output),
        ReefCommand::Correlation(args) => correlation::run(&args, output),
        ReefCommand::Predictions(args) => predictions::run(&args, output),
        ReefCommand::Sql(args) => sql::run(&args, output),
        ReefCommand::Mcp(args) => mcp::run(&args, output),
        ReefCommand::Token(command) => token::run(command, output),
    }
}
