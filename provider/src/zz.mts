import { createLlamaChild } from "./engine/create-llama-child.ts";
import { systemClock } from "@lake-travis/platform";
const o={modelPath:"/work/main/assets/models/lake-travis-tiny-q8_0.gguf",slots:4,gpu:false as const};
const e=createLlamaChild(o, systemClock); await e.start();
const sig=new AbortController().signal;
const run=async(k:number)=>{const t0=performance.now();let n=0;const at:number[]=[];for await(const ev of e.generate({kind:"chat",request:{model:"x",messages:[{role:"user",content:"Count upwards from one, and do not stop."}],max_tokens:100,temperature:1,seed:1,ignore_eos:true}},sig)){ if(ev.type==="token-delta"){n++; if(n<4||n%20===0) at.push(Math.round(performance.now()-t0));} if(performance.now()-t0>400)break;} return {k,n,at:at.join(" ")};};
console.log(await run(0));
for(let r=0;r<3;r++) console.log(await Promise.all([1,2,3,4].map(run)));
process.exit(0);
