// Tells a ladderpipe receiver what happens to carts and orders, signed by Standard Webhooks.
//
//   plugins: [LadderpipePlugin.init({ url: 'https://here/vendure', secret: 'whsec_…', shop: 'shop.example' })]
//
// Each message is a job of the shop's queue, so it is tried again until it is stored. And whoever has
// missed some may ask, at /ladderpipe, what there is to tell of the orders that have changed.
const crypto = require('node:crypto');
const core = require('@vendure/core');
const { MoreThanOrEqual } = require('typeorm');

// Emptying a cart and merging two publish no event, but others are asked before: they publish one,
// which subscribers get after the commit.
class CartEmptied extends core.VendureEvent {
  constructor(ctx, order) { super(); Object.assign(this, { ctx, order }); }
}
class TellsWhenEmptied {
  init(injector) { this.events = injector.get(core.EventBus); }
  willRemoveItemFromOrder(ctx, order) { this.events.publish(new CartEmptied(ctx, order)); }
}
class CartMerged extends core.VendureEvent {
  constructor(ctx, order, into) { super(); Object.assign(this, { ctx, order, into }); }
}
class TellsWhenMerged {
  constructor(own) { this.own = own; }
  init(injector) { this.events = injector.get(core.EventBus); return this.own.init?.(injector); }
  destroy() { return this.own.destroy?.(); }
  merge(ctx, guests, existing) {
    this.events.publish(new CartMerged(ctx, guests, existing));
    return this.own.merge(ctx, guests, existing);
  }
}

class LadderpipePlugin {
  static init(options) { LadderpipePlugin.options = options; return LadderpipePlugin; }
  constructor(events, orders, queues, connection, contexts) {
    Object.assign(this, { events, orders, queues, connection, contexts });
  }

  async onApplicationBootstrap() {
    this.queue = await this.queues.createQueue({ name: 'ladderpipe', process: job => this.tell(job.data) });
    const on = (event, of) => this.events.ofType(event).subscribe(e => {
      const told = of(e);
      if (!told) return;
      const { id, code } = e.order || e.entity;
      this.queue.add({ ctx: e.ctx.serialize(), id, code, at: e.createdAt.toISOString(), ...told }, { retries: 20 });
    });
    on(core.OrderLineEvent, () => ({ type: 'cart.updated' }));
    on(core.OrderEvent, e => e.type === 'updated' && { type: 'cart.updated' });
    on(CartEmptied, () => ({ type: 'cart.updated' }));
    on(CartMerged, e => ({ type: 'cart.merged', into: e.into.code }));
    on(core.OrderPlacedEvent, () => ({ type: 'order.confirmed' }));
    on(core.OrderStateTransitionEvent, e => ({
      AddingItems: { type: 'cart.updated' },
      ArrangingPayment: { type: 'checkout.started' },
      Cancelled: { type: 'order.cancelled' },
    })[e.toState]);
    on(core.PaymentStateTransitionEvent, e => ['Declined', 'Error'].includes(e.toState) && { type: 'payment.failed' });
    on(core.RefundStateTransitionEvent, e => e.toState === 'Settled' && { type: 'order.refunded' });
  }

  async tell({ ctx, id, code, at, type, into }) {
    if (into) return send({ id: `${code}:merged`, type, timestamp: at, deal: deal(code), data: { into: deal(into) } });
    // All of that type: what is told twice counts once, and what could not be told before is.
    for (const message of await this.messages(core.RequestContext.deserialize(ctx), id)) {
      if (message.type === type) await send(message);
    }
  }

  // What there is to tell of an order as it stands, in the same words whenever it is read.
  async messages(ctx, id) {
    const read = new Date(); // a snapshot is as of when it was read, not of what triggered it
    const order = await this.orders.findOne(ctx, id);
    if (!order) return [];
    const isCancelled = order.state === 'Cancelled';
    const message = (type, fact, at, data, seq = 0) => ({
      id: `${order.code}:${fact}`, type, timestamp: second(at), deal: deal(order.code), data, seq: (PLACE[type] || 0) + seq,
    });
    // Who it is and what is bought may be changed later: that is told otherwise, and the last counts,
    // but for what is made out of a cancelled order.
    const version = (type, fact, at, data) => message(type, `${fact}:${digest(data)}`, at, data, isCancelled ? 0 : +read);
    const who = contact(order.customer);
    // Cancelling takes all lines out; what was bought is what was in them before.
    const bought = order.lines.map(line => ({ line, quantity: isCancelled ? line.orderPlacedQuantity : line.quantity }))
      .filter(({ quantity }) => quantity > 0);
    const lines = bought.map(({ line, quantity }) => ({
      sku: line.productVariant.sku, title: line.productVariant.name,
      quantity, unit_price: money(line.proratedUnitPriceWithTax),
    }));
    const cart = { currency: order.currencyCode, lines };
    const total = !isCancelled ? order.totalWithTax : bought.reduce(
      (sum, { line, quantity }) => sum + quantity * line.proratedUnitPriceWithTax, order.shippingWithTax);
    const told = [];
    if (order.state === 'AddingItems') {
      told.push(message('cart.updated', `cart@${read.toISOString()}`, read, { contact: who, cart }, +read));
    }
    if (order.orderPlacedAt) {
      const data = { contact: who, cart, value: money(total), currency: order.currencyCode };
      told.push(version('order.confirmed', 'placed', order.orderPlacedAt, data));
    }
    const entries = await this.repository(ctx, 'OrderHistoryEntry').find({ where: { order: { id } }, order: { id: 'ASC' } });
    for (const { id: entry, type, createdAt, data: { to, paymentId, refundId } } of entries) {
      if (type === 'ORDER_STATE_TRANSITION' && to === 'ArrangingPayment') {
        // Whoever pays cannot change the cart, so it is as of then.
        if (order.state === 'ArrangingPayment') told.push(version('cart.updated', `cart:${entry}`, createdAt, { contact: who, cart }));
        told.push(version('checkout.started', `checkout:${entry}`, createdAt, { contact: who }));
      } else if (type === 'ORDER_STATE_TRANSITION' && to === 'Cancelled') {
        told.push(message('order.cancelled', 'cancelled', createdAt, {}));
      } else if (type === 'ORDER_PAYMENT_TRANSITION' && ['Declined', 'Error'].includes(to)) {
        told.push(message('payment.failed', `payment:${paymentId}`, createdAt, {}));
      } else if (type === 'ORDER_REFUND_TRANSITION' && to === 'Settled') {
        const { total } = await this.repository(ctx, core.Refund).findOneByOrFail({ id: refundId });
        told.push(message('order.refunded', `refund:${refundId}`, createdAt, { refunded: money(total) }));
      }
    }
    return told;
  }

  // Answers which messages there are of what has changed: whoever missed some can ask.
  configure(consumer) {
    consumer.apply((request, response) => {
      const query = request.originalUrl.split('?')[1] || '';
      if (!isSigned(request.headers, query)) return response.sendStatus(401);
      this.changed(new URLSearchParams(query)).then(found => response.json(found), error => {
        core.Logger.error(`cannot say what has changed: ${error}`, 'ladderpipe');
        response.sendStatus(500);
      });
    }).forRoutes('ladderpipe');
  }

  async changed(query) {
    const ctx = await this.contexts.create({ apiType: 'admin' });
    const since = MoreThanOrEqual(new Date(query.get('since')));
    // A refund leaves the order as it is, and so may a change of lines: they have times of their own.
    const orders = await this.repository(ctx, core.Order).find({
      select: { id: true }, where: [{ updatedAt: since }, { lines: { updatedAt: since } }],
    });
    const entries = await this.repository(ctx, 'OrderHistoryEntry').find({ where: { createdAt: since }, relations: { order: true } });
    const ids = new Map([...orders, ...entries.map(entry => entry.order)].map(({ id }) => [String(id), id]));
    const rest = [...ids.keys()].sort().filter(id => id > (query.get('after') || ''));
    const page = rest.slice(0, 50);
    const messages = [];
    for (const id of page) messages.push(...await this.messages(ctx, ids.get(id)));
    return { messages, next: page.length < rest.length ? page.at(-1) : null };
  }

  repository(ctx, entity) { return this.connection.getRepository(ctx, entity); }
}

// Databases keep whole seconds of some times and fractions of others: SQLite milliseconds of when the order
// was placed, and of its history none. So all are told in whole seconds, and what follows what in one second.
const second = at => new Date(Math.floor(+at / 1000) * 1000).toISOString();
const PLACE = { 'payment.failed': 1e14, 'order.confirmed': 2e14, 'order.cancelled': 3e14, 'order.refunded': 4e14 };
const digest = data => crypto.createHash('sha256').update(JSON.stringify(data)).digest('hex').slice(0, 12);
const money = minor => (minor / 100).toFixed(2);
const contact = customer => customer ? {
  id: String(customer.id), email: customer.emailAddress, name: `${customer.firstName} ${customer.lastName}`.trim(),
} : {};

const deal = code => `${LadderpipePlugin.options.shop}/${code}`;

function signature(id, sent, body) {
  const key = Buffer.from(LadderpipePlugin.options.secret.replace(/^whsec_/, ''), 'base64');
  return `v1,${crypto.createHmac('sha256', key).update(`${id}.${sent}.${body}`).digest('base64')}`;
}

async function send({ id, ...message }) {
  const { url } = LadderpipePlugin.options;
  const body = JSON.stringify(message);
  const sent = Math.floor(Date.now() / 1000);
  const headers = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': `${sent}`, 'webhook-signature': signature(id, sent, body) };
  const answer = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`); // the queue tries again
}

// Who asks signs what follows the question mark, as a message is signed, within five minutes.
function isSigned({ 'webhook-id': id, 'webhook-timestamp': sent, 'webhook-signature': told }, query) {
  if (!id || !told || !(Math.abs(Date.now() / 1000 - Number(sent)) < 300)) return false;
  const right = Buffer.from(signature(id, sent, query));
  return told.split(' ').map(one => Buffer.from(one)).some(one => one.length === right.length && crypto.timingSafeEqual(one, right));
}

Reflect.defineMetadata('design:paramtypes', [
  core.EventBus, core.OrderService, core.JobQueueService, core.TransactionalConnection, core.RequestContextService,
], LadderpipePlugin);
core.VendurePlugin({
  imports: [core.PluginCommonModule],
  compatibility: '^3.0.0',
  configuration: config => {
    config.orderOptions.orderInterceptors.push(new TellsWhenEmptied());
    config.orderOptions.mergeStrategy = new TellsWhenMerged(config.orderOptions.mergeStrategy);
    return config;
  },
})(LadderpipePlugin);

module.exports = { LadderpipePlugin };
