// Wallets sign in to a running host with the libraries that people use. Prints one JSON object: what
// the host answered to each.
//
//   node sign-in.cjs TOOLS HOST ADMIN_KEY RPC

'use strict';
const { createRequire } = require('node:module');
const [tools, host, admin, rpc] = process.argv.slice(2);
const library = createRequire(`${tools}/package.json`);
const { ethers } = library('ethers');
const { SiweMessage } = library('siwe');
const solc = library('solc');

const SOURCE = `
// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.0;
contract Owned {
    address immutable owner;
    constructor(address of_) { owner = of_; }
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        require(signature.length == 65, "length");
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        address signer = ecrecover(hash, uint8(signature[64]), r, s);
        return signer == owner ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}
contract Reverting {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) { revert("no"); }
}
contract Bomb {
    uint256 counter;
    function isValidSignature(bytes32, bytes calldata) external returns (bytes4) {
        while (true) counter++;
        return 0x1626ba7e;
    }
}
contract Wrong {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes32) {
        return bytes32(uint256(0x1626ba7e));
    }
}`;

function compile() {
  const input = {
    language: 'Solidity',
    sources: { 'wallets.sol': { content: SOURCE } },
    settings: { outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } } },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const failed = (output.errors || []).filter((error) => error.severity === 'error');
  if (failed.length > 0) throw new Error(failed.map((error) => error.formattedMessage).join('\n'));
  return output.contracts['wallets.sol'];
}

async function call(method, path, body, key) {
  const headers = { 'content-type': 'application/json' };
  if (key) headers.authorization = `Bearer ${key}`;
  const answer = await fetch(`${host}${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null };
}

async function message(address, chainId) {
  const { body } = await call('POST', '/v1/login/nonce');
  const at = Date.now();
  return new SiweMessage({
    domain: body.domain,
    address,
    statement: 'Sign in to pin things.',
    uri: `${body.uri}/v1/login/wallet`,
    version: '1',
    chainId,
    nonce: body.nonce,
    issuedAt: new Date(at).toISOString(),
    expirationTime: new Date(at + 300_000).toISOString(),
  });
}

const said = (answer) => ({
  status: answer.status,
  says: answer.status === 201 ? answer.body.principal : answer.body.detail,
});

async function signIn(signer, address, chainId) {
  const text = (await message(address, chainId)).prepareMessage();
  const signature = await signer.signMessage(text);
  return said(await call('POST', '/v1/login/wallet', { message: text, signature }));
}

async function cacao(signer, chainId) {
  const siwe = await message(signer.address, chainId);
  const signature = await signer.signMessage(siwe.prepareMessage());
  const p = {
    iss: `did:pkh:eip155:${chainId}:${signer.address}`,
    domain: siwe.domain,
    aud: siwe.uri,
    version: siwe.version,
    nonce: siwe.nonce,
    iat: siwe.issuedAt,
    exp: siwe.expirationTime,
    statement: siwe.statement,
  };
  const signed = { h: { t: 'caip122' }, p, s: { t: 'eip191', s: signature } };
  return said(await call('POST', '/v1/login/wallet', { cacao: signed }));
}

async function main() {
  const provider = new ethers.JsonRpcProvider(rpc, undefined, { cacheTimeout: -1 });
  const chainId = Number((await provider.getNetwork()).chainId);
  const deployer = await provider.getSigner(0);
  const owner = ethers.Wallet.createRandom();
  const other = ethers.Wallet.createRandom();
  const built = compile();
  const addresses = {};
  for (const name of Object.keys(built)) {
    const { abi, evm } = built[name];
    const factory = new ethers.ContractFactory(abi, evm.bytecode.object, deployer);
    const contract = await factory.deploy(...(name === 'Owned' ? [owner.address] : []));
    await contract.waitForDeployment();
    addresses[name] = await contract.getAddress();
  }
  const logins = [`did:pkh:eip155:1:${owner.address.toLowerCase()}`];
  for (const address of Object.values(addresses)) {
    logins.push(`did:pkh:eip155:${chainId}:${address.toLowerCase()}`);
  }
  const made = await call('POST', '/v1/users', { name: 'alice', logins }, admin);
  if (made.status !== 201) throw new Error(JSON.stringify(made));
  const answers = {
    key: await signIn(owner, owner.address, chainId),
    cacao: await cacao(owner, chainId),
    stranger: await signIn(other, other.address, chainId),
    contract: await signIn(owner, addresses.Owned, chainId),
    contract_by_another: await signIn(other, addresses.Owned, chainId),
    reverting: await signIn(owner, addresses.Reverting, chainId),
    bomb: await signIn(owner, addresses.Bomb, chainId),
    wrong: await signIn(owner, addresses.Wrong, chainId),
    no_contract: await signIn(owner, other.address, chainId),
    other_chain: await signIn(owner, owner.address, 10),
  };
  console.log(JSON.stringify(answers));
  provider.destroy();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
