// What there is to tell a ladderpipe receiver of carts and orders, signed by Standard Webhooks.
//
// LADDERPIPE_URL, LADDERPIPE_SECRET (whsec_…) and LADDERPIPE_SHOP (what begins a deal's id) come
// from the environment.
const crypto = require('node:crypto');

const CART = ['id', 'currency_code', 'email', 'customer_id', 'completed_at', 'items.*', 'shipping_address.*'];
const ORDER = [
  'id', 'display_id', 'currency_code', 'email', 'customer_id', 'total', 'created_at', 'canceled_at',
  'items.*', 'items.detail.*', 'shipping_address.*', 'cart.id',
];

async function fetched(container, entity, fields, id) {
  const { data } = await container.resolve('query').graph({ entity, fields, filters: { id } });
  return data[0];
}

// A cart's updated_at stands still while its lines change: a snapshot is as of when it is read.
async function cartMessages(container, id) {
  const read = new Date();
  const cart = await fetched(container, 'cart', CART, id);
  if (!cart || cart.completed_at) return [];
  return [{
    id: `${id}@${read.toISOString()}`, type: 'cart.updated', timestamp: read.toISOString(), deal: deal(id),
    data: { contact: contact(cart), cart: lines(cart) },
  }];
}

// In the same words whenever it is read, so that both ways of telling name a fact alike.
async function orderMessages(container, id) {
  const read = new Date();
  const order = await fetched(container, 'order', ORDER, id);
  if (!order) return [];
  const of = deal(order.cart?.id || `order:${id}`);
  const data = {
    contact: contact(order), cart: lines(order), value: amount(order.total), currency: order.currency_code.toUpperCase(),
    properties: { order_number: String(order.display_id) },
  };
  // Changed afterwards, it is told otherwise, and what was read last counts.
  const digest = crypto.createHash('sha256').update(JSON.stringify(data)).digest('hex').slice(0, 12);
  const told = [{
    id: `${id}:placed:${digest}`, type: 'order.confirmed', timestamp: instant(order.created_at), deal: of, data, seq: +read,
  }];
  if (order.canceled_at) {
    told.push({ id: `${id}:canceled`, type: 'order.cancelled', timestamp: instant(order.canceled_at), deal: of, data: {} });
  }
  return told;
}

const deal = id => `${process.env.LADDERPIPE_SHOP}/${id}`;
const instant = told => new Date(told).toISOString();
const amount = told => String(told?.numeric ?? told?.value ?? told);
const lines = ({ currency_code, items }) => ({
  currency: currency_code.toUpperCase(),
  lines: (items || []).filter(Boolean).sort((a, b) => (a.id < b.id ? -1 : 1)).map(item => ({
    sku: item.variant_sku, variant_id: item.variant_id, title: item.product_title || item.title,
    quantity: amount(item.quantity ?? item.detail?.quantity), unit_price: amount(item.unit_price),
  })),
});
const contact = ({ email, customer_id: id, shipping_address: address }) => ({
  id: id || undefined, email: email || undefined, phone: address?.phone || undefined,
  name: [address?.first_name, address?.last_name].filter(Boolean).join(' ') || undefined,
});

function signature(id, sent, body) {
  const key = Buffer.from(process.env.LADDERPIPE_SECRET.replace(/^whsec_/, ''), 'base64');
  return `v1,${crypto.createHmac('sha256', key).update(`${id}.${sent}.${body}`).digest('base64')}`;
}

async function send({ id, ...message }) {
  const url = process.env.LADDERPIPE_URL;
  const body = JSON.stringify(message);
  for (let tried = 1; ; tried++) {
    const sent = Math.floor(Date.now() / 1000);
    const headers = {
      'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': `${sent}`, 'webhook-signature': signature(id, sent, body),
    };
    const told = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(10_000) })
      .then(answer => answer.ok || answer.status, error => error.message);
    if (told === true) return;
    if (tried === 5) throw new Error(`${url} does not take ${id}: ${told}`); // until it asks
    await new Promise(resolve => setTimeout(resolve, 1000 * 2 ** tried));
  }
}

// Who asks signs what follows the question mark, as a message is signed, within five minutes.
function isSigned({ 'webhook-id': id, 'webhook-timestamp': sent, 'webhook-signature': told }, query) {
  if (!id || !told || !(Math.abs(Date.now() / 1000 - Number(sent)) < 300)) return false;
  const right = Buffer.from(signature(id, sent, query));
  return told.split(' ').map(one => Buffer.from(one)).some(one => one.length === right.length && crypto.timingSafeEqual(one, right));
}

module.exports = { cartMessages, orderMessages, send, isSigned };
