BEGIN TRANSACTION;
CREATE TABLE ladder_arms (
    key TEXT PRIMARY KEY,
    arm TEXT NOT NULL CHECK (arm IN ('sent', 'held_out')),
    at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE ladder_crowds (
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    key TEXT NOT NULL,
    PRIMARY KEY (pipeline, key)
) WITHOUT ROWID;
CREATE TABLE ladder_customers (
    key TEXT NOT NULL,
    deal INTEGER NOT NULL REFERENCES ladder_deals (id),
    PRIMARY KEY (key, deal)
) WITHOUT ROWID;
CREATE TABLE ladder_deals (
    id INTEGER PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    deal TEXT NOT NULL,
    stage TEXT,
    visit INTEGER NOT NULL DEFAULT 0,
    visit_key TEXT,
    entered_at INTEGER,
    activity_at INTEGER,
    opened_at INTEGER,
    closed_at INTEGER,
    lost_from TEXT,
    due_at INTEGER,
    horizon INTEGER,
    swept_to INTEGER,
    quiet_to INTEGER,
    last_event_at INTEGER,
    cursor_at INTEGER,
    cursor_phase INTEGER NOT NULL DEFAULT 0,
    cursor_seq INTEGER NOT NULL DEFAULT 0,
    cursor_rung INTEGER NOT NULL DEFAULT 0,
    cursor_source TEXT NOT NULL DEFAULT '',
    cursor_id TEXT NOT NULL DEFAULT '',
    timers TEXT,
    owner TEXT,
    currency TEXT,
    value TEXT,
    has_effects INTEGER NOT NULL DEFAULT 0,
    baseline_at INTEGER,
    definition TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    retry_at INTEGER,
    removed_at INTEGER, customer TEXT, merged_into TEXT, units INTEGER, fraction INTEGER, title TEXT, source TEXT, touched_at INTEGER,
    UNIQUE (pipeline, deal),
    CHECK ((stage IS NULL) = (visit = 0)),
    CHECK (stage IS NULL OR (visit_key IS NOT NULL AND entered_at >= opened_at)),
    CHECK (stage IS NOT NULL OR due_at IS NULL),
    CHECK (due_at >= entered_at)
);
INSERT INTO "ladder_deals" VALUES(1,1,'ada','cold',3,'ff12030b98f3c095de9f3d4b',1767783600000000,1767783600000000,1767603600000000,NULL,NULL,NULL,1767783600000000,1767808800000000,NULL,1767610800000000,1767610800000000,0,0,2,'','e2','{"fired":["after 48 h without activity into cold"]}','Bea',NULL,NULL,0,NULL,'867cc67c91831cb4a18e538c',0,NULL,NULL,'["",[],[]]',NULL,NULL,NULL,'ada',NULL,1767808800000000);
INSERT INTO "ladder_deals" VALUES(2,1,'bob','won',2,'c8f4c451f0bab66c239a74de',1767614400000000,1767614400000000,1767607200000000,1767614400000000,NULL,NULL,NULL,NULL,NULL,1767614400000000,1767614400000000,0,0,3,'','e4',NULL,NULL,NULL,NULL,0,NULL,'867cc67c91831cb4a18e538c',0,NULL,NULL,'["",[],[]]',NULL,NULL,NULL,'bob',NULL,1767808800000000);
INSERT INTO "ladder_deals" VALUES(3,1,'cyd','new',1,'f51542764a9c6b825ca8dfda',1767618000000000,1767618000000000,1767618000000000,NULL,NULL,1767877200000000,NULL,NULL,NULL,1767618000000000,1767618000000000,0,0,1,'','e5',NULL,'Dan',NULL,NULL,1,NULL,'867cc67c91831cb4a18e538c',0,NULL,NULL,'["",[],[]]',NULL,NULL,NULL,'cyd',NULL,1767808800000000);
INSERT INTO "ladder_deals" VALUES(4,1,'eve',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1767621600000000,1767621600000000,0,0,-1,'','e6',NULL,NULL,NULL,NULL,0,NULL,'867cc67c91831cb4a18e538c',0,NULL,NULL,'["",[],[]]',NULL,NULL,NULL,NULL,NULL,1767808800000000);
CREATE TABLE ladder_documents (
    deal INTEGER PRIMARY KEY REFERENCES ladder_deals (id),
    data TEXT NOT NULL
);
INSERT INTO "ladder_documents" VALUES(1,'{"title":"ada","owner":"Bea"}');
INSERT INTO "ladder_documents" VALUES(2,'{"title":"bob"}');
INSERT INTO "ladder_documents" VALUES(3,'{"title":"cyd","owner":"Dan"}');
CREATE TABLE "ladder_effects" (
    key TEXT PRIMARY KEY,
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    deal INTEGER NOT NULL REFERENCES ladder_deals (id),
    visit_key TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('into', 'out_of')),
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN
        ('pending', 'claimed', 'delivered', 'cancelled', 'expired', 'dead', 'open', 'waiting',
        'dropped')),
    due_at INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,
    expires_at INTEGER,
    run_to_completion INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    lease TEXT,
    error TEXT,
    owner TEXT,
    recorded_at INTEGER NOT NULL,
    purpose TEXT CHECK (purpose IN ('marketing', 'transactional')),
    channel TEXT CHECK (channel IN ('email', 'phone')),
    address TEXT,
    sent_at INTEGER,
    delayed_until INTEGER,
    decisions TEXT,
    CHECK ((state = 'claimed') = (lease IS NOT NULL)),
    CHECK ((purpose IS NULL) = (channel IS NULL))
) WITHOUT ROWID;
INSERT INTO "ladder_effects" VALUES('07a6b8b629cb8d4d98ae99ca28adca92',1,1,'0894904348a5735ffbd2665b','into','task',0,'{"owner":"Bea","title":"Meet"}','cancelled',1767610800000000,1767610800000000,NULL,0,0,NULL,NULL,'Bea',1767808800000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "ladder_effects" VALUES('25e5dca6c9551444686f6146c34a4808',1,2,'28c9d2152f349e0d26018254','into','email',0,'{"template":"first"}','cancelled',1767607200000000,1767607200000000,NULL,0,0,NULL,NULL,NULL,1767808800000000,'marketing','email',NULL,NULL,NULL,NULL);
INSERT INTO "ladder_effects" VALUES('42bb0ce334ebac5260c43cd98574ca1d',1,2,'28c9d2152f349e0d26018254','into','task',0,'{"due_hours":4,"title":"Call"}','cancelled',1767693600000000,1767708000000000,NULL,0,0,NULL,NULL,NULL,1767808800000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "ladder_effects" VALUES('4722026f5e1c6ab348338c67905204c4',1,1,'5ad7f73e42139ef4f8c9a57e','into','email',0,'{"template":"first"}','cancelled',1767603600000000,1767603600000000,NULL,0,0,NULL,NULL,NULL,1767808800000000,'marketing','email',NULL,NULL,NULL,NULL);
INSERT INTO "ladder_effects" VALUES('9dcc7428ba714aeb9a10dca370e09dcc',1,3,'f51542764a9c6b825ca8dfda','into','task',0,'{"due_hours":4,"title":"Call"}','open',1767704400000000,1767718800000000,NULL,0,0,NULL,NULL,'Dan',1767808800000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "ladder_effects" VALUES('a754cc87abfa8912ea25e99dfe19addd',1,3,'f51542764a9c6b825ca8dfda','into','email',0,'{"template":"first"}','delivered',1767618000000000,1767809100000000,NULL,0,1,NULL,NULL,NULL,1767808800000000,'marketing','email',NULL,NULL,NULL,NULL);
INSERT INTO "ladder_effects" VALUES('ad76bf8b952e70ac0124d640140da41f',1,3,'f51542764a9c6b825ca8dfda','into','email',1,'{"template":"last"}','pending',1767790800000000,1767790800000000,1767812400000000,0,0,NULL,NULL,NULL,1767808800000000,'marketing','email',NULL,NULL,NULL,NULL);
INSERT INTO "ladder_effects" VALUES('d67062224f8ab38b551350b45a477853',1,1,'5ad7f73e42139ef4f8c9a57e','into','task',0,'{"due_hours":4,"title":"Call"}','cancelled',1767690000000000,1767704400000000,NULL,0,0,NULL,NULL,'Bea',1767808800000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "ladder_effects" VALUES('e9c68b68ea1cf1a0a99af273e6f91bbc',1,1,'5ad7f73e42139ef4f8c9a57e','into','email',1,'{"template":"last"}','cancelled',1767776400000000,1767776400000000,1767798000000000,0,0,NULL,NULL,NULL,1767808800000000,'marketing','email',NULL,NULL,NULL,NULL);
INSERT INTO "ladder_effects" VALUES('faf9d531ed3cf678641edd4f8ba77830',1,2,'28c9d2152f349e0d26018254','into','email',1,'{"template":"last"}','cancelled',1767780000000000,1767780000000000,1767801600000000,0,0,NULL,NULL,NULL,1767808800000000,'marketing','email',NULL,NULL,NULL,NULL);
CREATE TABLE ladder_events (
    deal INTEGER NOT NULL REFERENCES ladder_deals (id),
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    pipeline INTEGER NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    digest TEXT,
    recorded_at INTEGER NOT NULL, undeclared INTEGER NOT NULL DEFAULT 0, remark TEXT CHECK (remark IN ('after_closing', 'late')),
    PRIMARY KEY (deal, at, seq, source, id),
    UNIQUE (pipeline, source, id)
) WITHOUT ROWID;
INSERT INTO "ladder_events" VALUES(1,1767603600000000,0,'','e1',1,'lead','{"owner":"Bea"}','742c7e78477ddf35bad424777b0b7f92',1767808800000000,0,NULL);
INSERT INTO "ladder_events" VALUES(1,1767610800000000,0,'','e2',1,'call','{}','2f29254a005f3298bded34cb6fe22e12',1767808800000000,0,NULL);
INSERT INTO "ladder_events" VALUES(2,1767607200000000,0,'','e3',1,'lead','{}','8c8eef79283db4b830160f1625a139b7',1767808800000000,0,NULL);
INSERT INTO "ladder_events" VALUES(2,1767614400000000,0,'','e4',1,'order','{}','cb5194175dd324e9a56f8bfa63b99654',1767808800000000,0,NULL);
INSERT INTO "ladder_events" VALUES(3,1767618000000000,0,'','e5',1,'lead','{"owner":"Dan"}','bcbcc611799efe1dfbc17ca05b09cbac',1767808800000000,0,NULL);
INSERT INTO "ladder_events" VALUES(4,1767621600000000,0,'','e6',1,'viewed','{}','30a270fd684d30696d81e070596dbb5e',1767808800000000,1,NULL);
CREATE TABLE ladder_held (
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('aside', 'conflict', 'copy', 'future', 'failed')),
    deal TEXT NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    data TEXT,
    digest TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    told INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    retry_at INTEGER,
    discarded_at INTEGER,
    discarded_by TEXT,
    note TEXT,
    PRIMARY KEY (pipeline, key),
    CHECK ((kind = 'aside') = (data IS NULL)),
    CHECK (discarded_at IS NULL OR retry_at IS NULL)
) WITHOUT ROWID;
CREATE TABLE ladder_held_customers (
    pipeline INTEGER NOT NULL REFERENCES ladder_pipelines (id),
    key TEXT NOT NULL,
    held TEXT NOT NULL,
    PRIMARY KEY (pipeline, key, held)
) WITHOUT ROWID;
CREATE TABLE ladder_moves (
    deal INTEGER NOT NULL REFERENCES ladder_deals (id),
    n INTEGER NOT NULL CHECK (n > 0),
    visit_key TEXT NOT NULL,
    out_of TEXT,
    into_stage TEXT NOT NULL,
    at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    rule TEXT NOT NULL,
    event_source TEXT,
    event_id TEXT,
    PRIMARY KEY (deal, n),
    CHECK ((out_of IS NULL) = (n = 1)),
    CHECK ((event_source IS NULL) = (event_id IS NULL))
) WITHOUT ROWID;
INSERT INTO "ladder_moves" VALUES(1,1,'5ad7f73e42139ef4f8c9a57e',NULL,'new',1767603600000000,1767808800000000,'on lead into new','','e1');
INSERT INTO "ladder_moves" VALUES(1,2,'0894904348a5735ffbd2665b','new','talking',1767610800000000,1767808800000000,'on call into talking','','e2');
INSERT INTO "ladder_moves" VALUES(1,3,'ff12030b98f3c095de9f3d4b','talking','cold',1767783600000000,1767808800000000,'after 48 h without activity into cold',NULL,NULL);
INSERT INTO "ladder_moves" VALUES(2,1,'28c9d2152f349e0d26018254',NULL,'new',1767607200000000,1767808800000000,'on lead into new','','e3');
INSERT INTO "ladder_moves" VALUES(2,2,'c8f4c451f0bab66c239a74de','new','won',1767614400000000,1767808800000000,'on order into won','','e4');
INSERT INTO "ladder_moves" VALUES(3,1,'f51542764a9c6b825ca8dfda',NULL,'new',1767618000000000,1767808800000000,'on lead into new','','e5');
CREATE TABLE ladder_pipelines (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    definition TEXT NOT NULL,
    migrating TEXT
);
INSERT INTO "ladder_pipelines" VALUES(1,'leads','867cc67c91831cb4a18e538c','{"fold": {"reducer": "cart_reducer", "stages": [{"key": "cold", "status": "abandoned", "requires": []}, {"key": "new", "status": "open", "requires": []}, {"key": "talking", "status": "open", "requires": []}, {"key": "won", "status": "won", "requires": []}, {"key": "lost", "status": "lost", "requires": ["why"]}], "rules": [{"key": "on lead into new", "on": ["lead"], "into": "new", "out_of": ["cold"], "opens": true}, {"key": "on call into talking", "on": ["call"], "into": "talking", "out_of": ["cold", "new"]}, {"key": "on order into won", "on": ["order"], "into": "won", "out_of": "ANY"}, {"key": "after 3 days into cold", "after": {"days": 3, "since": "entered"}, "into": "cold", "out_of": ["new"]}, {"key": "after 48 h without activity into cold", "after": {"hours": 48, "since": "activity"}, "into": "cold", "out_of": ["talking"]}, {"key": "by hand into new", "by_hand": true, "into": "new", "opens": true}, {"key": "by hand into lost", "by_hand": true, "into": "lost"}]}, "whole": {"name": "leads", "stages": [{"key": "cold", "status": "abandoned"}, {"key": "new", "sequence": [{"do": "email", "payload": {"template": "first"}}, {"wait": {"hours": 24}}, {"do": "task", "payload": {"title": "Call", "due_hours": 4}}, {"wait": {"hours": 24}}, {"do": "email", "expires": {"hours": 6}, "payload": {"template": "last"}}]}, {"key": "talking", "sequence": [{"do": "task", "payload": {"title": "Meet", "owner": "Bea"}}]}, {"key": "won", "status": "won"}, {"key": "lost", "status": "lost", "requires": ["why"]}], "rules": [{"on": ["lead"], "into": "new", "out_of": ["cold"], "opens": true, "key": "on lead into new"}, {"on": ["call"], "into": "talking", "out_of": ["new", "cold"], "key": "on call into talking"}, {"on": ["order"], "into": "won", "out_of": "ANY", "key": "on order into won"}, {"after": {"days": 3}, "into": "cold", "out_of": ["new"], "key": "after 3 days into cold"}, {"after": {"hours": 48, "since": "activity"}, "into": "cold", "out_of": ["talking"], "key": "after 48 h without activity into cold"}, {"by_hand": true, "into": "new", "opens": true, "key": "by hand into new"}, {"by_hand": true, "into": "lost", "key": "by hand into lost"}]}, "events": ["cart.updated", "cart.item_added", "cart.item_removed", "cart.emptied", "cart.saved", "cart.merged", "checkout.started", "payment.failed", "order.confirmed", "order.edited", "order.cancelled", "order.refunded", "contact.subscribed", "contact.unsubscribed", "link.clicked", "lead", "call", "order"]}',NULL);
CREATE TABLE ladder_schema (version INTEGER NOT NULL);
INSERT INTO "ladder_schema" VALUES(13);
CREATE TABLE ladder_search (
    deal INTEGER PRIMARY KEY REFERENCES ladder_deals (id),
    pipeline INTEGER NOT NULL,
    company TEXT,
    text TEXT NOT NULL
);
INSERT INTO "ladder_search" VALUES(1,1,NULL,'ada
ada');
INSERT INTO "ladder_search" VALUES(2,1,NULL,'bob
bob');
INSERT INTO "ladder_search" VALUES(3,1,NULL,'cyd
cyd');
CREATE TABLE ladder_secrets (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO "ladder_secrets" VALUES('hashes','19fbf94102fb5a2c52002a85beb6f96a5cccb2e1bc7cdc488dc73546c3ca1869');
CREATE TABLE ladder_subscriptions (
    address TEXT NOT NULL,
    wanted INTEGER NOT NULL,
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    pipeline INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (address, at, seq, source, id, pipeline, wanted)
) WITHOUT ROWID;
CREATE INDEX ladder_deals_due ON ladder_deals (pipeline, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX ladder_deals_stage ON ladder_deals (pipeline, stage) WHERE stage IS NOT NULL;
CREATE INDEX ladder_deals_swept ON ladder_deals (pipeline, swept_to) WHERE swept_to IS NOT NULL;
CREATE INDEX ladder_held_retry ON ladder_held (pipeline, retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX ladder_deals_troubled ON ladder_deals (pipeline, stage, failures)
    WHERE failures > 0 OR (stage IS NULL AND definition IS NOT NULL);
CREATE INDEX ladder_held_deal ON ladder_held (deal);
CREATE INDEX ladder_events_undeclared ON ladder_events (pipeline, type) WHERE undeclared;
CREATE INDEX ladder_effects_ready ON ladder_effects (pipeline, name, ready_at)
    WHERE state IN ('pending', 'claimed');
CREATE INDEX ladder_effects_dead ON ladder_effects (pipeline, due_at) WHERE state = 'dead';
CREATE INDEX ladder_effects_deal ON ladder_effects (deal, visit_key);
CREATE INDEX ladder_effects_put_off ON ladder_effects (pipeline, ready_at)
    WHERE state = 'claimed' OR (state = 'pending' AND error IS NOT NULL);
CREATE INDEX ladder_effects_waiting ON ladder_effects (deal, pipeline)
    WHERE state = 'waiting';
CREATE INDEX ladder_effects_address ON ladder_effects (address, sent_at)
    WHERE address IS NOT NULL;
CREATE INDEX ladder_deals_unindexed ON ladder_deals (pipeline, id)
    WHERE customer IS NULL AND definition IS NOT NULL;
CREATE INDEX ladder_customers_deal ON ladder_customers (deal);
CREATE INDEX ladder_deals_merged ON ladder_deals (pipeline, merged_into)
    WHERE merged_into IS NOT NULL;
CREATE INDEX ladder_held_of ON ladder_held_customers (pipeline, held);
CREATE INDEX ladder_events_remark ON ladder_events (pipeline, remark, recorded_at)
    WHERE remark IS NOT NULL;
CREATE INDEX ladder_deals_owner ON ladder_deals (pipeline, owner, id, stage)
    WHERE owner IS NOT NULL;
CREATE INDEX ladder_deals_touched ON ladder_deals (pipeline, touched_at);
CREATE INDEX ladder_deals_by_age ON ladder_deals (pipeline, stage, entered_at)
    WHERE stage IS NOT NULL;
CREATE INDEX ladder_deals_by_value ON ladder_deals (pipeline, stage, units, fraction)
    WHERE stage IS NOT NULL;
CREATE INDEX ladder_deals_by_recent ON ladder_deals (pipeline, stage, last_event_at)
    WHERE stage IS NOT NULL;
CREATE INDEX ladder_deals_by_due ON ladder_deals (pipeline, stage, due_at)
    WHERE stage IS NOT NULL;
CREATE INDEX ladder_deals_by_title ON ladder_deals (pipeline, stage, title)
    WHERE stage IS NOT NULL;
CREATE INDEX ladder_deals_worth ON ladder_deals
    (pipeline, stage, currency, units, fraction, owner, source) WHERE stage IS NOT NULL;
CREATE INDEX ladder_search_company ON ladder_search (pipeline, company)
    WHERE company IS NOT NULL;
CREATE INDEX ladder_effects_open ON ladder_effects
    (pipeline, owner, ready_at, key, expires_at, state) WHERE state = 'open';
CREATE INDEX ladder_effects_urgent ON ladder_effects
    (pipeline, ready_at, key, expires_at, state) WHERE state = 'open';
CREATE VIEW ladder_visits AS
SELECT m.deal, m.n, m.visit_key, m.into_stage AS stage, m.at AS entered_at, later.at AS left_at
FROM ladder_moves m
LEFT JOIN ladder_moves later ON later.deal = m.deal AND later.n = m.n + 1;
COMMIT;
