//! Rows of models, and what a value can be.

use std::borrow::Cow;

use super::{
    clock::Time,
    fields::Model,
    world::{
        ACTIVE, Company, Credential, Module, Network, Parameter, Person, Provider, ROOT,
        WELL_KNOWN, Website, World,
    },
};

/// A row of some model.
#[derive(Debug, Clone)]
pub(super) enum Row<'w> {
    User(&'w Person),
    Group(&'w super::world::Group),
    Key(&'w Credential),
    Passkey(&'w Credential),
    Module(&'w Module),
    Parameter(&'w str, &'w Parameter),
    Data(Box<DataRow<'w>>),
    Company(u32, &'w Company),
    /// The contact of a user.
    Partner(&'w Person),
    Provider(u32, &'w Provider),
    Website(u32, &'w Website),
    Network(u32, &'w Network),
    /// A key of auth_api_key, and whose it is.
    ClearTextKey(u32, u32),
    Log {
        id: u32,
        user: u32,
        date: Time,
    },
}

/// An XML id. In a box: rows are made by the hundred thousand, and these are few.
#[derive(Debug, Clone)]
pub(super) struct DataRow<'w> {
    pub(super) id: u32,
    pub(super) module: Cow<'w, str>,
    pub(super) name: Cow<'w, str>,
    pub(super) model: &'static str,
    pub(super) res: u32,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(u32),
    Text(Cow<'a, str>),
    Date(Time),
    /// A many2one; 0: none.
    One(Model, u32),
    Many(Vec<u32>),
}

impl Val<'_> {
    pub(super) fn date(time: Time) -> Self {
        if time == 0 {
            Self::Null
        } else {
            Self::Date(time)
        }
    }
}

impl Row<'_> {
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::User(person) => person.id,
            // The first contact is the company's.
            Self::Partner(person) => person.id + 1,
            Self::Group(group) => group.id,
            Self::Key(key) | Self::Passkey(key) => key.id,
            Self::Module(module) => module.id,
            Self::Parameter(_, parameter) => parameter.id,
            Self::Data(row) => row.id,
            Self::Company(id, _)
            | Self::Provider(id, _)
            | Self::Website(id, _)
            | Self::Network(id, _)
            | Self::ClearTextKey(id, _)
            | Self::Log { id, .. } => *id,
        }
    }
}

/// The contacts of the well-known accounts are archived with them; those of other users stay.
pub(super) fn contact_active(person: &Person) -> bool {
    person.has(ACTIVE) || !(person.has(WELL_KNOWN) || person.has(ROOT))
}

/// Every row of a model, for any user.
pub(super) fn all(world: &World, model: Model) -> Box<dyn Iterator<Item = Row<'_>> + '_> {
    match model {
        Model::Users => Box::new(world.people.iter().map(Row::User)),
        Model::Groups => Box::new(world.groups.list.iter().map(Row::Group)),
        Model::Keys if world.version <= 14 => {
            Box::new(world.keys().chain(world.devices()).map(Row::Key))
        }
        Model::Keys => Box::new(world.keys().map(Row::Key)),
        Model::Devices => Box::new(world.devices().map(Row::Key)),
        Model::Passkeys => Box::new(world.passkeys().map(Row::Passkey)),
        Model::Modules => Box::new(world.modules.iter().map(Row::Module)),
        Model::Parameters => Box::new(
            world
                .parameters
                .iter()
                .map(|(key, parameter)| Row::Parameter(key, parameter)),
        ),
        Model::Data => Box::new(data(world).into_iter()),
        Model::Companies => Box::new(
            world
                .companies
                .iter()
                .zip(1..)
                .map(|(company, id)| Row::Company(id, company)),
        ),
        Model::Partners => Box::new(world.people.iter().map(Row::Partner)),
        Model::Providers => Box::new(
            world
                .providers
                .iter()
                .zip(1..)
                .map(|(provider, id)| Row::Provider(id, provider)),
        ),
        Model::Websites => Box::new(
            world
                .websites
                .iter()
                .zip(1..)
                .map(|(website, id)| Row::Website(id, website)),
        ),
        Model::Networks => Box::new(
            world
                .networks
                .iter()
                .zip(1..)
                .map(|(network, id)| Row::Network(id, network)),
        ),
        Model::Log => Box::new(world.people.iter().flat_map(log_rows)),
        Model::ClearTextKeys => Box::new(
            world
                .clear_text_keys
                .iter()
                .zip(1..)
                .map(|(owner, id)| Row::ClearTextKey(id, *owner)),
        ),
        Model::Settings | Model::Companion => Box::new(std::iter::empty()),
    }
}

fn data(world: &World) -> Vec<Row<'_>> {
    let groups = world.groups.list.iter().map(|group| {
        (
            Cow::from(&*group.module),
            Cow::from(&*group.name),
            "res.groups",
            group.id,
        )
    });
    let others = world
        .references
        .iter()
        .map(|it| (Cow::from("base"), Cow::from(it.name), it.model, it.id));
    let aliases =
        world.groups.aliases.iter().map(|(module, name, id)| {
            (Cow::from(&**module), Cow::from(&**name), "res.groups", *id)
        });
    let rows = groups.chain(others).chain(aliases).zip(1..);
    rows.map(|((module, name, model, res), id)| {
        Row::Data(Box::new(DataRow {
            id,
            module,
            name,
            model,
            res,
        }))
    })
    .collect()
}

pub(super) fn log_rows(person: &Person) -> impl Iterator<Item = Row<'_>> {
    let rows = [
        (person.id * 2, person.other_row),
        (person.id * 2 + 1, person.last_row),
    ];
    rows.into_iter()
        .filter(|(_, date)| *date != 0)
        .map(|(id, date)| Row::Log {
            id,
            user: person.id,
            date,
        })
}
