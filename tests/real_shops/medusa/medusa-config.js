// A shop without its pages for salespeople, on the database that the environment names.
const { defineConfig } = require('@medusajs/framework/utils');

module.exports = defineConfig({
  admin: { disable: true },
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    databaseDriverOptions: { ssl: false, connection: { ssl: false } },
    http: { host: '127.0.0.1', storeCors: '*', adminCors: '*', authCors: '*', jwtSecret: 'x', cookieSecret: 'x' },
  },
});
