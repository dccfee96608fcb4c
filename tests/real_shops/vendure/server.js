// A small shop in memory: two articles, one way to ship, one to pay. Says READY when it listens.
require('reflect-metadata');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const core = require('@vendure/core');
const { populate } = require('@vendure/core/cli');
const { LadderpipePlugin } = require(process.env.PLUGIN);

const { PORT, RECEIVER, SECRET } = process.env;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vendure-'));
const products = path.join(folder, 'products.csv');
fs.writeFileSync(products, [
  'name,slug,description,assets,facets,optionGroups,optionValues,sku,price,taxCategory,stockOnHand,trackInventory,variantAssets,variantFacets',
  'Notebook 15,notebook-15,,,,,,NB-15,899.00,standard,100,false,,',
  'Mouse,mouse,,,,,,MS-01,19.90,standard,100,false,,',
].join('\n'));

const config = {
  apiOptions: { port: Number(PORT), hostname: '127.0.0.1', adminApiPath: 'admin-api', shopApiPath: 'shop-api' },
  authOptions: {
    tokenMethod: ['bearer'],
    requireVerification: false,
    superadminCredentials: { identifier: 'superadmin', password: 'superadmin' },
    cookieOptions: { secret: 'x' },
  },
  dbConnectionOptions: { type: 'sqljs', autoSave: false, synchronize: true, logging: false },
  paymentOptions: { paymentMethodHandlers: [core.dummyPaymentHandler] },
  logger: new core.DefaultLogger({ level: core.LogLevel.Warn }),
  importExportOptions: { importAssetsDir: folder },
  plugins: [LadderpipePlugin.init({ url: RECEIVER, secret: SECRET, shop: 'shop.example' })],
};
const initialData = {
  defaultLanguage: 'en',
  defaultZone: 'Europe',
  countries: [{ name: 'Italy', code: 'IT', zone: 'Europe' }],
  taxRates: [{ name: 'Standard', percentage: 22 }],
  shippingMethods: [{ name: 'Standard', price: 500 }],
  paymentMethods: [{
    name: 'Dummy',
    handler: { code: 'dummy-payment-handler', arguments: [{ name: 'automaticSettle', value: 'true' }] },
  }],
  collections: [],
  roles: [],
};

populate(() => core.bootstrap(config), initialData, products)
  .then(app => app.get(core.JobQueueService).start())
  .then(() => console.log('READY'))
  .catch(error => { console.error(error); process.exit(1); });
