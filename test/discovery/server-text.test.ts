import { describe, expect, it } from 'vitest';
import type { Registration } from '../../src/discovery/registration.ts';
import { fillCommand, serverAddress, serverEnvironment } from '../../src/discovery/server-text.ts';

const server: Registration = {
  ...{ label: 'mqtt', id: 'w1', host: 'w1', address: '10.0.0.1', port: 1883, healthy: true, source: 'service' },
};
const { port: _, ...portless } = server;

describe('the address of a server', () => {
  it.each([
    [server, '10.0.0.1:1883'],
    [portless, '10.0.0.1'],
    [{ ...server, address: 'fd00::1' }, '[fd00::1]:1883'],
    [{ ...portless, address: 'fd00::1' }, 'fd00::1'],
  ])('%j is %s', (from, text) => {
    expect(serverAddress(from)).toBe(text);
  });
});

describe('a command with placeholders', () => {
  it('has them replaced in every word, as often as they are there, and nothing else', () => {
    const command = ['sub-{host}', '-h', '{address}', 'mqtt://{address}:{port}/{host}', '{other} {} {{host}}'] as const;
    const filled = ['sub-w1', '-h', '10.0.0.1', 'mqtt://10.0.0.1:1883/w1', '{other} {} {w1}'];
    expect(fillCommand(command, server)).toEqual(filled);
  });

  it('is not filled again with what a server is called', () => {
    expect(fillCommand(['{address}'], { ...server, address: '{port}' })).toEqual(['{port}']);
  });

  it('cannot be run when it asks for a port that the server does not have', () => {
    expect(fillCommand(['nc', '{address}', '{port}'], portless)).toBeUndefined();
    expect(fillCommand(['ping', '{address}'], portless)).toEqual(['ping', '10.0.0.1']);
  });

  it('finds the server in its environment, and no port of an earlier one', () => {
    expect(serverEnvironment(server)).toEqual({
      SERVICEWATCHER_ADDRESS: '10.0.0.1',
      SERVICEWATCHER_HOST: 'w1',
      SERVICEWATCHER_PORT: '1883',
    });
    expect(serverEnvironment(portless)).toMatchObject({ SERVICEWATCHER_PORT: undefined });
  });
});
