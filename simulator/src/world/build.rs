//! Populates a world from a recipe and a seed.

use super::{
    super::clock::{Clock, DAY},
    *,
};

/// Parameters of a new world. Shares are 0..1.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The Odoo version, 14 to 20.
    pub version: u8,
    /// The same seed gives the same world.
    pub seed: u64,
    /// The mail domain of internal logins.
    pub host: String,
    /// Internal users, archived ones and the administrator included, polling accounts not.
    pub internal: u32,
    /// Portal users.
    pub portal: u32,
    /// Companies, one to eight; users of the first see the share users of the others only if they may work there.
    pub companies: u8,
    /// Websites, each but the first with a public user of its own; 0: the module is not installed.
    pub websites: u8,
    /// Share of users who are archived.
    pub archived: f64,
    /// Share of internal users with TOTP.
    pub totp_internal: f64,
    /// Share of portal users with TOTP.
    pub totp_portal: f64,
    /// Share of users with a passkey, where passkeys exist.
    pub passkeys: f64,
    /// Share of users linked to OAuth; 0: the module is not installed.
    pub oauth: f64,
    /// Keys for every hundred users.
    pub keys_per_hundred: u32,
    /// `auth_totp.policy`, with its module.
    pub policy: Option<&'static str>,
    /// Modules installed beyond the usual ones.
    pub modules: Vec<&'static str>,
    /// Usual modules that are not installed.
    pub without: Vec<&'static str>,
}

impl Recipe {
    /// A middling company: 60 internal and 120 portal users.
    pub fn new(version: u8, seed: u64) -> Self {
        Self {
            version,
            seed,
            host: "company.example".into(),
            internal: 60,
            portal: 120,
            companies: 2,
            websites: 2,
            archived: 0.12,
            totp_internal: 0.6,
            totp_portal: 0.15,
            passkeys: 0.08,
            oauth: 0.0,
            keys_per_hundred: 14,
            policy: None,
            modules: Vec::new(),
            without: Vec::new(),
        }
    }
}

impl World {
    /// A world from a recipe.
    pub fn build(recipe: &Recipe, clock: Clock) -> Self {
        let version = recipe.version;
        let mut rng = Rng::new(recipe.seed ^ 0x0D00);
        let mut world = Self {
            version,
            saas: None,
            quirks: Quirks::of(version),
            seed: recipe.seed,
            host: recipe.host.clone(),
            people: Vec::new(),
            logins: HashMap::new(),
            names: HashMap::new(),
            next_user: 1,
            groups: Groups::default(),
            keys: Vec::new(),
            devices: Vec::new(),
            passkeys: Vec::new(),
            next_key: 1,
            next_device: 1,
            next_passkey: 1,
            secrets: HashMap::new(),
            passwords: HashMap::new(),
            modules: modules::of(recipe),
            parameters: BTreeMap::new(),
            companies: Vec::new(),
            hidden: HashMap::new(),
            hidden_groups: BTreeSet::new(),
            cached_rules: HashMap::new(),
            providers: Vec::new(),
            links: HashMap::new(),
            websites: Vec::new(),
            networks: Vec::new(),
            clear_text_keys: Vec::new(),
            uses: Uses::default(),
            references: Vec::new(),
            rng: Rng::new(rng.next()),
            clock,
        };
        world.groups = Groups::of(version, |name| world.installed(name));
        for number in 1..=recipe.companies.clamp(1, 8) {
            world.add_company(&if number == 1 {
                "My Company".into()
            } else {
                format!("Subsidiary {number}")
            });
        }
        world.add_oauth_provider("Example SSO", true);
        world.set_param("web.base.url", Some("https://odoo.example"));
        world.set_param("database.secret", Some("simulated-database-secret"));
        world.set_param("auth_totp.policy", recipe.policy);
        world.pseudo_users();
        world.populate(recipe, &mut rng);
        for number in 0..recipe.websites {
            if number == 0 {
                let user = world
                    .references
                    .iter()
                    .find(|it| it.name == "public_user")
                    .map_or(0, |it| it.id);
                world.websites.push(Website {
                    name: "My Website".into(),
                    user,
                });
            } else {
                world.add_website(&format!("Shop {number}"));
            }
        }
        world
    }

    #[expect(clippy::too_many_lines, reason = "one account after the other")]
    fn pseudo_users(&mut self) {
        let born = self.now().saturating_sub(900 * DAY);
        let add = |world: &mut Self, name: &'static str, login: &str, label: &str, kind, active| {
            let id = world.hire_at(kind, born);
            world.rename(id, login, label);
            world.change(id, |person| {
                person.set_flag(ACTIVE, active);
                person.set_flag(ROOT, name == "user_root");
                person.set_flag(WELL_KNOWN, !matches!(name, "user_root" | "user_admin"));
            });
            world.references.push(Reference {
                name,
                model: "res.users",
                id,
            });
            id
        };
        let root = add(
            self,
            "user_root",
            "__system__",
            "OdooBot",
            Kind::Internal,
            false,
        );
        let admin = add(
            self,
            "user_admin",
            "admin",
            "Administrator",
            Kind::Internal,
            true,
        );
        if self.version <= 18 {
            add(
                self,
                "default_user",
                "default",
                "Default User Template",
                Kind::Internal,
                false,
            );
        }
        add(
            self,
            "public_user",
            "public",
            "Public user",
            Kind::Public,
            false,
        );
        add(
            self,
            "template_portal_user_id",
            "portaltemplate",
            "Portal User Template",
            Kind::Portal,
            false,
        );
        self.references.push(Reference {
            name: "main_company",
            model: "res.company",
            id: 1,
        });
        for id in [root, admin] {
            for group in [
                "base.group_system",
                "base.group_erp_manager",
                "account.group_account_manager",
                "hr.group_hr_manager",
                "sales_team.group_sale_manager",
                "website.group_website_designer",
            ] {
                self.grant(id, group);
            }
        }
        // An import wrote the administrator's old login after the recent one.
        let now = self.now();
        self.log_in(admin, now.saturating_sub(2 * DAY));
        self.log_in(admin, now.saturating_sub(200 * DAY));
    }

    fn populate(&mut self, recipe: &Recipe, rng: &mut Rng) {
        let now = self.now();
        self.people
            .reserve_exact(usize::try_from(recipe.internal + recipe.portal).unwrap_or(0) + 16);
        for number in 0..recipe.internal.saturating_sub(1) + recipe.portal {
            let internal = number < recipe.internal.saturating_sub(1);
            let created = now.saturating_sub(DAY + rng.below(900) * DAY + rng.below(DAY));
            let id = self.hire_at(
                if internal {
                    Kind::Internal
                } else {
                    Kind::Portal
                },
                created,
            );
            let archived = number >= 12 && rng.chance(recipe.archived);
            let totp = rng.chance(if internal {
                recipe.totp_internal
            } else {
                recipe.totp_portal
            });
            let oauth = rng.chance(recipe.oauth);
            self.history(id, created, rng);
            self.change(id, |person| {
                person.set_flag(ACTIVE, !archived);
                person.set_flag(TOTP, totp);
                person.set_flag(OAUTH, oauth);
            });
            if recipe.companies > 1 && rng.chance(0.15) {
                let other = 2 + u8::try_from(rng.below(u32::from(recipe.companies) - 1))
                    .expect("few companies");
                self.set_companies(id, other, &[]);
            }
            if internal {
                self.give_role(id, number, rng);
            }
            if totp && rng.chance(0.4) {
                for _ in 0..=rng.below(2) {
                    let made = now.saturating_sub(rng.below(100) * DAY + 60);
                    self.add_device(id, made, Some(made + 90 * DAY));
                }
            }
            let has_passkeys = self.version >= 18 && (internal || self.version >= 19);
            if has_passkeys && rng.chance(recipe.passkeys) {
                for _ in 0..=rng.below(2) {
                    self.add_passkey(id, now.saturating_sub(rng.below(300) * DAY + 60));
                }
            }
        }
        self.hand_out_keys(recipe, rng);
    }

    fn history(&mut self, id: u32, created: Time, rng: &mut Rng) {
        let now = self.now();
        let age = now.saturating_sub(created).max(1);
        let reach = if rng.chance(0.8) { 60 * DAY } else { 400 * DAY };
        let recent = now.saturating_sub(rng.below(age.min(reach)));
        if rng.chance(0.8) {
            if rng.chance(0.5) {
                let older = created + rng.below(recent.saturating_sub(created).max(1));
                self.log_in(id, older);
            }
            self.log_in(id, recent);
        }
    }

    /// The first dozen get the roles that every company has; then one in eight gets one.
    fn give_role(&mut self, id: u32, number: u32, rng: &mut Rng) {
        const ROLES: &[&str] = &[
            "base.group_system",
            "base.group_erp_manager",
            "account.group_account_manager",
            "account.group_account_user",
            "hr.group_hr_manager",
            "hr.group_hr_user",
            "sales_team.group_sale_manager",
            "purchase.group_purchase_manager",
            "stock.group_stock_manager",
            "website.group_website_designer",
            "base.group_system",
            "account.group_account_user",
        ];
        let role = match ROLES.get(usize::try_from(number).unwrap_or(usize::MAX)) {
            Some(role) => role,
            // Administrators stay few however big the company is.
            None if rng.chance(0.12) => ROLES[2 + usize::try_from(rng.below(8)).unwrap_or(0)],
            None => return,
        };
        self.grant(id, role);
        if self.version < 19 && rng.chance(0.9) {
            self.grant(id, "base.group_allow_export");
        }
    }

    fn hand_out_keys(&mut self, recipe: &Recipe, rng: &mut Rng) {
        let now = self.now();
        let people: Vec<u32> = self
            .people
            .iter()
            .filter(|person| !self.is_pseudo(person))
            .map(|person| person.id)
            .collect();
        // Keys are an internal habit: those of a big portal do not grow with it.
        let base = recipe.internal + recipe.portal.min(recipe.internal * 4);
        for _ in 0..(base * recipe.keys_per_hundred).div_ceil(100) {
            let internal_end = usize::try_from(recipe.internal)
                .unwrap_or(0)
                .clamp(1, people.len());
            let among = if rng.chance(0.85) {
                internal_end
            } else {
                people.len()
            };
            let owner =
                people[usize::try_from(rng.below(u32::try_from(among).unwrap_or(1))).unwrap_or(0)];
            let scope = match rng.below(10) {
                0 => Scope::Rpc,
                1 => Scope::Other("odoo.plugin.outlook"),
                2 => Scope::Other("odoo.plugin.gmail"),
                // The time that remains before an upgrade to 20.
                3 => Scope::Unrestricted,
                _ => Scope::usual(self.version),
            };
            let created = now.saturating_sub(rng.below(700) * DAY + rng.below(DAY) + 60);
            let expires = rng.chance(0.7).then(|| now + rng.below(120) * DAY + 3_600);
            self.add_key(owner, scope, created, expires);
        }
    }
}
